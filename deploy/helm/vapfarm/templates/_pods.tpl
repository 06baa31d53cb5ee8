{{/*
What every pod and container has: no root, no privileges, a read-only root filesystem, no environment of other Services.
*/}}

{{/* The farm's own pods: (list $ values), values with scheduling fields. */}}
{{- define "vapfarm.podCommon" -}}
{{- $root := index . 0 -}}
{{- $values := index . 1 -}}
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ int64 $root.Values.user.runAsUser }}
  runAsGroup: {{ int64 $root.Values.user.runAsGroup }}
  fsGroup: {{ int64 $root.Values.user.fsGroup }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- include "vapfarm.scheduling" $values }}
{{- end -}}

{{- define "vapfarm.scheduling" -}}
{{- with .priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .runtimeClassName }}
runtimeClassName: {{ . }}
{{- end }}
{{- with .nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* Pods of the evaluation servers: (list values userId). */}}
{{- define "vapfarm.evaluationPod" -}}
{{- $values := index . 0 -}}
{{- $user := index . 1 -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ $user }}
  runAsGroup: {{ $user }}
  fsGroup: {{ $user }}
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- include "vapfarm.scheduling" $values }}
{{- end -}}

{{- define "vapfarm.containerSecurity" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- end -}}

{{/* Claim of an evaluation server, or a folder that goes with its pod: storage values. */}}
{{- define "vapfarm.claimTemplate" -}}
metadata:
  name: data
spec:
  accessModes: [ReadWriteOnce]
  {{- with .storageClassName }}
  storageClassName: {{ . }}
  {{- end }}
  resources:
    requests:
      storage: {{ int64 .sizeGiB }}Gi
{{- end -}}

{{/*
Which program of the image runs: its entrypoint takes the program's name. A command of the CLI: a list of its words.
*/}}
{{- define "vapfarm.program" -}}
args: [{{ . }}]
{{- end -}}

{{- define "vapfarm.command" -}}
args: {{ toJson . }}
{{- end -}}
