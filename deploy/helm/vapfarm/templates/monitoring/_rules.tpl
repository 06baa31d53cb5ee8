{{/*
What a file of rules becomes.
*/}}

{{/* Its groups as JSON, without alerts that are disabled, and with the RUNBOOK's address: (list $ content). */}}
{{- define "vapfarm.ruleGroups" -}}
{{- $monitoring := (index . 0).Values.monitoring -}}
{{- $groups := list -}}
{{- range $group := (index . 1 | toString | fromYaml).groups -}}
{{- $rules := list -}}
{{- range $rule := $group.rules -}}
{{- $address := dig "annotations" "runbook_url" "" $rule -}}
{{- if and $address $monitoring.runbook -}}
{{- $_ := set $rule.annotations "runbook_url" (printf "%s/%s" (trimSuffix "/" $monitoring.runbook) $address) -}}
{{- end -}}
{{- if not (has ($rule.alert | default "") $monitoring.prometheusRule.disabled) -}}{{- $rules = append $rules $rule -}}{{- end -}}
{{- end -}}
{{- if $rules -}}{{- $groups = append $groups (set $group "rules" $rules) -}}{{- end -}}
{{- end -}}
{{- $groups | toJson -}}
{{- end -}}

{{/* Names of the chart's alerts, as JSON: {"names": [...]}. */}}
{{- define "vapfarm.alerts" -}}
{{- $names := list -}}
{{- range $path, $content := .Files.Glob "rules/*.yaml" -}}
{{- range ($content | toString | fromYaml).groups -}}
{{- range .rules -}}{{- with .alert -}}{{- $names = append $names . -}}{{- end -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- dict "names" $names | toJson -}}
{{- end -}}
