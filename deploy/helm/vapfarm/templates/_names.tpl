{{/*
Names, labels and selectors.

A name has at most 52 characters: a StatefulSet's name and its revision's hash, and a Job's name, end up in labels, which hold 63. What
is too long is cut and ends with a hash of the whole, so that two long names stay two names.
*/}}

{{- define "vapfarm.cut" -}}
{{- if gt (len .) 52 -}}
{{- printf "%s-%s" (. | trunc 43 | trimSuffix "-") (sha256sum . | trunc 8) -}}
{{- else -}}
{{- . -}}
{{- end -}}
{{- end -}}

{{/* Name of the whole: the release's, with the chart's unless it is in it. */}}
{{- define "vapfarm.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name -}}
{{- end -}}
{{- end -}}

{{/* Name of a part: (list $ "coordinator"). */}}
{{- define "vapfarm.name" -}}
{{- $root := index . 0 -}}
{{- include "vapfarm.cut" (printf "%s-%s" (include "vapfarm.fullname" $root) (index . 1)) -}}
{{- end -}}

{{/* What selects the pods of a part: (list $ "coordinator"). Never changes in the life of a release: a Deployment's selector cannot. */}}
{{- define "vapfarm.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: vapfarm
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Labels of the objects of a part; pods carry only what selects them, so that a new chart alone starts none anew: (list $ "coordinator"). */}}
{{- define "vapfarm.labels" -}}
{{- $root := index . 0 -}}
{{ include "vapfarm.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "vapfarm.chartLabels" -}}
app.kubernetes.io/name: vapfarm
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* An image: (list values defaultTag). A digest wins over a tag. */}}
{{- define "vapfarm.image" -}}
{{- $image := index . 0 -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository ($image.tag | default (index . 1)) -}}
{{- end -}}
{{- end -}}

{{/* Image of the coordinator, the migration and CPU workers. */}}
{{- define "vapfarm.ownImage" -}}
{{- include "vapfarm.image" (list .Values.image .Chart.AppVersion) -}}
{{- end -}}
