{{/*
The model repository of a pod: a folder of the node, a claim, an image, or a folder that goes with the pod. Programs mount it read-only;
the init container that fills it is the only one that writes, one at a time on a node (the volume holds its lock).
*/}}

{{/* The volume: modelRepository values. */}}
{{- define "vapfarm.modelsVolume" -}}
- name: models
  {{- with .volume }}
  {{- if .hostPath }}
  hostPath:
    path: {{ .hostPath | quote }}
    # Whoever prepares nodes makes it, owned by the pods' user: a folder that the kubelet made would be root's.
    type: Directory
  {{- else if .existingClaim }}
  persistentVolumeClaim:
    claimName: {{ .existingClaim }}
  {{- else if .image.reference }}
  image:
    reference: {{ .image.reference | quote }}
    pullPolicy: {{ .image.pullPolicy }}
  {{- else }}
  emptyDir:
    sizeLimit: {{ max 1 (int64 .emptyDirGiB) }}Gi
  {{- end }}
  {{- end }}
{{- end -}}

{{- define "vapfarm.modelsMount" -}}
- name: models
  mountPath: /models
  readOnly: true
{{- end -}}

{{/*
The containers that pull: (list $ name pool). First what is named, which fails until it was pushed: a worker without the models that it is for
would end, and be started again without this. Then what an alias or a live job names of what the pool renders.
*/}}
{{- define "vapfarm.modelsPull" -}}
{{- $root := index . 0 -}}
{{- $pool := index . 2 -}}
{{- $pull := $pool.modelRepository.pull -}}
{{- $named := $pull.references | default $pool.models -}}
{{- if $named -}}
{{ include "vapfarm.modelsPuller" (list $root "models" $pull $named) }}
{{ end -}}
{{ include "vapfarm.modelsPuller" (list $root "models-in-use" $pull (list "--pool" (index . 1))) }}
{{- end -}}

{{/* (list $ containerName pull words) */}}
{{- define "vapfarm.modelsPuller" -}}
{{- $root := index . 0 -}}
{{- $pull := index . 2 -}}
{{- $words := list "models" "pull" "--to" "/models" -}}
{{- with int64 $pull.budgetGiB -}}{{- $words = concat $words (list "--budget" (printf "%dGiB" .)) -}}{{- end -}}
- name: {{ index . 1 }}
  # Not the GPU's image: it says of itself that it sees every device of the node.
  image: {{ include "vapfarm.ownImage" $root | quote }}
  imagePullPolicy: {{ $root.Values.image.pullPolicy }}
  {{- include "vapfarm.command" (concat $words (index . 3)) | nindent 2 }}
  env:
    - name: VAPFARM_ADDRESS
      value: {{ printf "%s:7443" (include "vapfarm.name" (list $root "coordinator")) | quote }}
    {{- with $pull.tokenSecret }}
    {{- if .name }}
    {{- include "vapfarm.secretVariable" (list "VAPFARM_TOKEN" .name .key) | nindent 4 }}
    {{- end }}
    {{- end }}
    {{- include "vapfarm.artifacts" $root | nindent 4 }}
    {{- if eq $root.Values.artifacts.kind "jetstream" }}
    {{- include "vapfarm.natsUrl" $root | nindent 4 }}
    {{- end }}
  resources:
    {{- toYaml $pull.resources | nindent 4 }}
  {{- include "vapfarm.containerSecurity" $root | nindent 2 }}
  volumeMounts:
    - name: models
      mountPath: /models
    - name: tmp
      mountPath: /tmp
    {{- with include "vapfarm.artifactsMount" $root | trim }}
    {{- . | nindent 4 }}
    {{- end }}
{{- end -}}

{{/* "true" where any pool pulls its models. */}}
{{- define "vapfarm.pulls" -}}
{{- range $name, $pool := include "vapfarm.pools" . | fromJson -}}
{{- if $pool.modelRepository.pull.enabled -}}true{{- end -}}
{{- end -}}
{{- end -}}
