{{/*
The environment of the farm's programs. Plain values stand here, secrets are references only.
*/}}

{{/* A value of a Secret: (list variable secretName key). */}}
{{- define "vapfarm.secretVariable" -}}
- name: {{ index . 0 }}
  valueFrom:
    secretKeyRef:
      name: {{ index . 1 }}
      key: {{ index . 2 }}
{{- end -}}

{{- define "vapfarm.postgresSecret" -}}
{{- if .Values.postgres.evaluation.enabled -}}
{{- .Values.postgres.evaluation.existingSecret | default (include "vapfarm.name" (list . "postgres")) -}}
{{- else -}}
{{- .Values.postgres.existingSecret.name -}}
{{- end -}}
{{- end -}}

{{- define "vapfarm.databaseUrl" -}}
{{- $key := ternary "DATABASE_URL" .Values.postgres.existingSecret.key .Values.postgres.evaluation.enabled -}}
{{ include "vapfarm.secretVariable" (list "DATABASE_URL" (include "vapfarm.postgresSecret" .) $key) }}
{{- end -}}

{{/* Migrations take an advisory lock, which a pooler would lose: they may have an address of their own. */}}
{{- define "vapfarm.directDatabaseUrl" -}}
{{- with .Values.postgres.directSecret.name -}}
{{ include "vapfarm.secretVariable" (list "DATABASE_URL" . $.Values.postgres.directSecret.key) }}
{{- else -}}
{{ include "vapfarm.databaseUrl" . }}
{{- end -}}
{{- end -}}

{{- define "vapfarm.natsUrl" -}}
{{- if .Values.nats.evaluation.enabled -}}
- name: NATS_URL
  value: {{ printf "nats://%s:4222" (include "vapfarm.name" (list . "nats")) | quote }}
{{- else if .Values.nats.existingSecret.name -}}
{{ include "vapfarm.secretVariable" (list "NATS_URL" .Values.nats.existingSecret.name .Values.nats.existingSecret.key) }}
{{- else -}}
- name: NATS_URL
  value: {{ .Values.nats.url | quote }}
{{- end -}}
{{- end -}}

{{- define "vapfarm.s3Secret" -}}
{{- if .Values.artifacts.evaluation.enabled -}}
{{- .Values.artifacts.evaluation.existingSecret | default (include "vapfarm.name" (list . "s3")) -}}
{{- else -}}
{{- .Values.artifacts.s3.existingSecret -}}
{{- end -}}
{{- end -}}

{{- define "vapfarm.s3Bucket" -}}
{{- .Values.artifacts.s3.bucket | default "vapfarm" -}}
{{- end -}}

{{- define "vapfarm.artifactsAddress" -}}
{{- $artifacts := .Values.artifacts -}}
{{- if eq $artifacts.kind "s3" -}}
{{- printf "s3://%s" (include "vapfarm.s3Bucket" .) -}}{{- with $artifacts.s3.prefix }}/{{ . }}{{ end -}}
{{- else if eq $artifacts.kind "jetstream" -}}
{{- $query := list -}}
{{- with $artifacts.jetstream -}}
{{- with int64 .replicas -}}{{- $query = append $query (printf "replicas=%d" .) -}}{{- end -}}
{{- with int64 .maxGiB -}}{{- $query = append $query (printf "max_bytes=%s" (include "vapfarm.bytes" .)) -}}{{- end -}}
{{- with int64 .maxObjectMiB -}}{{- $query = append $query (printf "max_object_bytes=%d" (mul . 1048576)) -}}{{- end -}}
{{- end -}}
{{- printf "jetstream:%s" $artifacts.jetstream.bucket -}}{{- with $query }}?{{ join "&" . }}{{ end -}}
{{- else -}}
folder:/artifacts
{{- end -}}
{{- end -}}

{{- define "vapfarm.artifacts" -}}
{{- $s3 := .Values.artifacts.s3 -}}
- name: VAPFARM_ARTIFACTS
  value: {{ include "vapfarm.artifactsAddress" . | quote }}
{{- if eq .Values.artifacts.kind "s3" }}
{{- $isEvaluation := .Values.artifacts.evaluation.enabled }}
{{- $endpoint := ternary (printf "http://%s:7070" (include "vapfarm.name" (list . "s3"))) $s3.endpoint $isEvaluation }}
{{- with $endpoint }}
- name: VAPFARM_ARTIFACTS_S3_ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{- with $s3.region }}
- name: VAPFARM_ARTIFACTS_S3_REGION
  value: {{ . | quote }}
{{- end }}
{{- if or $s3.pathStyle $isEvaluation }}
- name: VAPFARM_ARTIFACTS_S3_PATH_STYLE
  value: "1"
{{- end }}
{{- with include "vapfarm.s3Secret" . }}
{{ include "vapfarm.secretVariable" (list "AWS_ACCESS_KEY_ID" . "AWS_ACCESS_KEY_ID") }}
{{ include "vapfarm.secretVariable" (list "AWS_SECRET_ACCESS_KEY" . "AWS_SECRET_ACCESS_KEY") }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "vapfarm.artifactsVolume" -}}
{{- if eq .Values.artifacts.kind "folder" }}
- name: artifacts
  persistentVolumeClaim:
    claimName: {{ .Values.artifacts.folder.existingClaim | default (include "vapfarm.name" (list . "artifacts")) }}
{{- end }}
{{- end -}}

{{- define "vapfarm.artifactsMount" -}}
{{- if eq .Values.artifacts.kind "folder" }}
- name: artifacts
  mountPath: /artifacts
{{- end }}
{{- end -}}

{{- define "vapfarm.tracing" -}}
{{- with .Values.tracing.endpoint }}
- name: VAPFARM_OTLP_ENDPOINT
  value: {{ . | quote }}
- name: VAPFARM_TRACE_SHARE
  value: {{ toString $.Values.tracing.share | quote }}
{{- end }}
{{- end -}}

{{/* Settings by their names; the schema knows which there are. */}}
{{- define "vapfarm.settings" -}}
{{- range $name, $value := . }}
- name: {{ $name }}
  value: {{ $value | quote }}
{{- end }}
{{- end -}}
