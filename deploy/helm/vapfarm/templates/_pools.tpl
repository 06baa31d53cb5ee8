{{/*
Pools: values → what coordinators and workers are told. Both sides are derived here, so that they cannot differ.
*/}}

{{/* Every pool with poolDefaults filled in, as JSON: {"name": {...}}. */}}
{{- define "vapfarm.pools" -}}
{{- $pools := dict -}}
{{- range $name, $pool := .Values.pools -}}
{{- $_ := set $pools $name (mergeOverwrite (deepCopy $.Values.poolDefaults) ($pool | default dict)) -}}
{{- end -}}
{{- $pools | toJson -}}
{{- end -}}

{{/*
What may change the last bits of a result, as services/platform/profile.ts forms it. Workers of another profile get no work of the pool.
(list onnxruntimeVersion pool)
*/}}
{{- define "vapfarm.profile" -}}
{{- $version := index . 0 -}}
{{- $pool := index . 1 -}}
{{- if eq (join "," $pool.providers) "cpu" -}}
{{- printf "cpu;ort-%s;%s;threads-%d" $version $pool.architecture (int64 $pool.threads) -}}
{{- else -}}
{{- printf "%s;ort-%s;%s" (join "+" $pool.providers) $version $pool.architecture -}}
{{- end -}}
{{- end -}}

{{/* Bytes of so many GiB, as JSON keeps them. */}}
{{- define "vapfarm.bytes" -}}
{{- mul (int64 .) 1073741824 -}}
{{- end -}}

{{/* VAPFARM_POOLS. */}}
{{- define "vapfarm.poolsSetting" -}}
{{- $list := list -}}
{{- range $name, $pool := include "vapfarm.pools" . | fromJson -}}
{{- $entry := dict "name" $name "profile" (include "vapfarm.profile" (list $.Values.image.onnxruntime $pool)) -}}
{{- if $pool.models -}}{{- $_ := set $entry "models" $pool.models -}}{{- end -}}
{{- if $pool.memoryGiB -}}{{- $_ := set $entry "memoryBytes" (mul (int64 $pool.memoryGiB) 1073741824) -}}{{- end -}}
{{- $list = append $list $entry -}}
{{- end -}}
{{- $list | toJson -}}
{{- end -}}

{{/* Models that pools name, separated by commas: the pool without names takes the others. */}}
{{- define "vapfarm.namedModels" -}}
{{- $named := list -}}
{{- range $name, $pool := include "vapfarm.pools" . | fromJson -}}
{{- $named = concat $named ($pool.models | default list) -}}
{{- end -}}
{{- $named | join "," -}}
{{- end -}}

{{/* VAPFARM_SCALING. */}}
{{- define "vapfarm.scalingSetting" -}}
{{- $list := list -}}
{{- range $name, $pool := include "vapfarm.pools" . | fromJson -}}
{{- with $pool.scaling -}}
{{- if .enabled -}}
{{- $entry := dict "name" $name -}}
{{- /* Without an object the farm tells the number, and another writes it. */ -}}
{{- if eq .appliedBy "farm" -}}
{{- $_ := set $entry "kind" "Deployment" -}}
{{- $_ := set $entry "object" (include "vapfarm.name" (list $ (printf "worker-%s" $name))) -}}
{{- end -}}
{{- $_ := set $entry "min" (int64 .min) -}}
{{- $_ := set $entry "max" (int64 .max) -}}
{{- $_ := set $entry "targetWaitMs" (mul (int64 .targetWaitSeconds) 1000) -}}
{{- /* 0: as the farm has it by itself. */ -}}
{{- range $field := list "downAfter" "idle" "load" "probe" -}}
{{- with int64 (index $pool.scaling (printf "%sSeconds" $field)) -}}{{- $_ := set $entry (printf "%sMs" $field) (mul . 1000) -}}{{- end -}}
{{- end -}}
{{- $list = append $list $entry -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $setting := dict "namespace" $.Release.Namespace "watchNodes" .Values.scaling.watchNodes "pools" $list -}}
{{- with int64 .Values.scaling.unknownTaskSeconds -}}{{- $_ := set $setting "unknownTaskMs" (mul . 1000) -}}{{- end -}}
{{- $setting | toJson -}}
{{- end -}}

{{/* "true" where the farm decides the size of any pool. */}}
{{- define "vapfarm.scales" -}}
{{- range $name, $pool := include "vapfarm.pools" . | fromJson -}}
{{- if $pool.scaling.enabled -}}true{{- end -}}
{{- end -}}
{{- end -}}

{{/* Deployments whose size the farm writes itself, as JSON: {"names": [...]}. */}}
{{- define "vapfarm.scaledObjects" -}}
{{- $names := list -}}
{{- range (include "vapfarm.scalingSetting" . | fromJson).pools -}}
{{- with .object -}}{{- $names = append $names . -}}{{- end -}}
{{- end -}}
{{- dict "names" $names | toJson -}}
{{- end -}}

{{/*
The size of a Deployment that somebody else sets: (list $ name). Nothing where there is none yet.

A field that a release had and the next one has not is taken away, and the API server puts 1 in its place. So the number that is there is
said again. Only where whoever applies the Deployment (server-side) holds that field no more, because it was written through the scale
since, it is left out: then nothing takes it away, and no number that is old by then meets the one that is written meanwhile.
*/}}
{{- define "vapfarm.liveReplicas" -}}
{{- $root := index . 0 -}}
{{- with lookup "apps/v1" "Deployment" $root.Release.Namespace (index . 1) -}}
{{- $isApplied := false -}}
{{- $isHeld := false -}}
{{- range .metadata.managedFields -}}
{{- $fields := dig "fieldsV1" "f:spec" (dict) . -}}
{{- if and (eq .operation "Apply") (hasKey $fields "f:template") -}}
{{- $isApplied = true -}}
{{- if hasKey $fields "f:replicas" -}}{{- $isHeld = true -}}{{- end -}}
{{- end -}}
{{- end -}}
{{- if or $isHeld (not $isApplied) -}}
replicas: {{ int64 .spec.replicas }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/*
How long a pod may take to end, in seconds: the drain, then the agent's own limits on what follows it (stopDeadlineMs of
services/worker/app.ts: 21 s), then room for the kubelet and the runtime's end.
*/}}
{{- define "vapfarm.workerGraceSeconds" -}}
{{- add (int64 .drainSeconds) 21 15 -}}
{{- end -}}
