{{/*
Who may talk to whom. Nothing may but what stands in network-policies.yaml.
*/}}

{{/* Port of an address, or the one given: (list "nats://host:4222" 4222). */}}
{{- define "vapfarm.portOf" -}}
{{- $url := urlParse (index . 0) -}}
{{- $port := regexFind ":[0-9]+$" $url.host | trimPrefix ":" -}}
{{- if $port -}}{{ $port }}
{{- else if eq $url.scheme "http" -}}80
{{- else if eq $url.scheme "https" -}}443
{{- else -}}{{ index . 1 }}
{{- end -}}
{{- end -}}

{{/* Pods of a part of this release, as a peer: (list $ "coordinator"). */}}
{{- define "vapfarm.peer" -}}
- podSelector:
    matchLabels:
      {{- include "vapfarm.selector" . | nindent 6 }}
{{- end -}}

{{/* An egress rule to peers, everywhere where none are given: (list peers ports). */}}
{{- define "vapfarm.egress" -}}
- ports:
    {{- range index . 1 }}
    - protocol: TCP
      port: {{ int64 . }}
    {{- end }}
  {{- with index . 0 }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}

{{- define "vapfarm.egressDns" -}}
- ports:
    - protocol: UDP
      port: 53
    - protocol: TCP
      port: 53
  to:
    {{- toYaml .Values.networkPolicy.dns | nindent 4 }}
{{- end -}}

{{- define "vapfarm.egressPostgres" -}}
{{- $peers := .Values.networkPolicy.postgres -}}
{{- if .Values.postgres.evaluation.enabled -}}
{{- $peers = include "vapfarm.peer" (list . "postgres") | fromYamlArray -}}
{{- end -}}
{{- include "vapfarm.egress" (list $peers (list (ternary 5432 .Values.postgres.port .Values.postgres.evaluation.enabled))) -}}
{{- end -}}

{{- define "vapfarm.egressNats" -}}
{{- $peers := .Values.networkPolicy.nats -}}
{{- $port := .Values.nats.port -}}
{{- if .Values.nats.evaluation.enabled -}}
{{- $peers = include "vapfarm.peer" (list . "nats") | fromYamlArray -}}
{{- $port = 4222 -}}
{{- else if .Values.nats.url -}}
{{- $port = include "vapfarm.portOf" (list .Values.nats.url .Values.nats.port) | int64 -}}
{{- end -}}
{{- include "vapfarm.egress" (list $peers (list $port)) -}}
{{- end -}}

{{/* The migration's own connection. */}}
{{- define "vapfarm.egressDirectPostgres" -}}
{{- if and .Values.postgres.directSecret.name (not .Values.postgres.evaluation.enabled) -}}
{{- include "vapfarm.egress" (list .Values.networkPolicy.postgres (list .Values.postgres.directSecret.port)) -}}
{{- else -}}
{{- include "vapfarm.egressPostgres" . -}}
{{- end -}}
{{- end -}}

{{/* Empty where artifacts are in NATS or on a volume. */}}
{{- define "vapfarm.egressArtifacts" -}}
{{- if eq .Values.artifacts.kind "s3" -}}
{{- $peers := .Values.networkPolicy.s3 -}}
{{- $port := include "vapfarm.portOf" (list .Values.artifacts.s3.endpoint 443) | int64 -}}
{{- if .Values.artifacts.evaluation.enabled -}}
{{- $peers = include "vapfarm.peer" (list . "s3") | fromYamlArray -}}
{{- $port = 7070 -}}
{{- end -}}
{{- include "vapfarm.egress" (list $peers (list $port)) -}}
{{- end -}}
{{- end -}}

{{- define "vapfarm.egressTracing" -}}
{{- with .Values.tracing.endpoint -}}
{{- include "vapfarm.egress" (list $.Values.networkPolicy.tracing (list (include "vapfarm.portOf" (list . 4318) | int64))) -}}
{{- end -}}
{{- end -}}
