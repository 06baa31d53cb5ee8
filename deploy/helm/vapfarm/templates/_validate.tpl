{{/*
What values.schema.json cannot say: whether values make sense together. Every mistake is told at once, each with its path and a way out.
*/}}

{{- define "vapfarm.validate" -}}
{{- $faults := list -}}
{{- range list "vapfarm.faultsOfServers" "vapfarm.faultsOfArtifacts" "vapfarm.faultsOfPools" "vapfarm.faultsOfScaling" "vapfarm.faultsOfCoordinator" "vapfarm.faultsOfMonitoring" "vapfarm.faultsOfNames" -}}
{{- $faults = concat $faults (include . $ | fromJsonArray) -}}
{{- end -}}
{{- if $faults -}}
{{- fail (printf "\n\nThese values make no sense together:\n- %s\n" (join "\n- " $faults)) -}}
{{- end -}}
{{- end -}}

{{- define "vapfarm.faultsOfServers" -}}
{{- $faults := list -}}
{{- with .Values.postgres -}}
{{- if and .existingSecret.name .evaluation.enabled -}}
{{- $faults = append $faults "postgres: both postgres.existingSecret and postgres.evaluation are set; keep the one that holds the farm's database" -}}
{{- end -}}
{{- if not (or .existingSecret.name .evaluation.enabled) -}}
{{- $faults = append $faults "postgres: no database; name a Secret with its address in postgres.existingSecret.name, or try the farm with postgres.evaluation.enabled=true" -}}
{{- end -}}
{{- if and .directSecret.name .evaluation.enabled -}}
{{- $faults = append $faults "postgres.directSecret: the evaluation Postgres has no pooler to go around; leave it empty" -}}
{{- end -}}
{{- end -}}
{{- with .Values.nats -}}
{{- $given := compact (list .url .existingSecret.name (ternary "evaluation" "" .evaluation.enabled)) -}}
{{- if gt (len $given) 1 -}}
{{- $faults = append $faults "nats: more than one of nats.url, nats.existingSecret and nats.evaluation is set; keep the one that the farm talks over" -}}
{{- end -}}
{{- if not $given -}}
{{- $faults = append $faults "nats: no server; give its address in nats.url or in a Secret (nats.existingSecret.name), or try the farm with nats.evaluation.enabled=true" -}}
{{- end -}}
{{- if contains "@" .url -}}
{{- $faults = append $faults "nats.url: holds credentials, which would stand in every pod's specification; put the address into a Secret and name it in nats.existingSecret.name" -}}
{{- end -}}
{{- end -}}
{{- $faults | toJson -}}
{{- end -}}

{{- define "vapfarm.faultsOfArtifacts" -}}
{{- $faults := list -}}
{{- with .Values.artifacts -}}
{{- if and .evaluation.enabled (ne .kind "s3") -}}
{{- $faults = append $faults (printf "artifacts: artifacts.evaluation is an S3 server, but artifacts.kind is %s; set one or the other" .kind) -}}
{{- end -}}
{{- if and .evaluation.enabled (or .s3.endpoint .s3.existingSecret) -}}
{{- $faults = append $faults "artifacts: both artifacts.s3 (an endpoint or a Secret) and artifacts.evaluation are set; keep the one that holds the artifacts" -}}
{{- end -}}
{{- if and (eq .kind "s3") (not .s3.bucket) (not .evaluation.enabled) -}}
{{- $faults = append $faults "artifacts.s3.bucket: no bucket; name one, or try the farm with artifacts.evaluation.enabled=true" -}}
{{- end -}}
{{- if and (ne .kind "s3") (or .s3.bucket .s3.endpoint .s3.existingSecret) -}}
{{- $faults = append $faults (printf "artifacts: artifacts.s3 is set, but artifacts.kind is %s; there is one store of artifacts" .kind) -}}
{{- end -}}
{{- if and (ne .kind "jetstream") (or .jetstream.replicas .jetstream.maxGiB .jetstream.maxObjectMiB) -}}
{{- $faults = append $faults (printf "artifacts: artifacts.jetstream is set, but artifacts.kind is %s; there is one store of artifacts" .kind) -}}
{{- end -}}
{{- if and (gt (int64 .jetstream.replicas) 1) $.Values.nats.evaluation.enabled -}}
{{- $faults = append $faults (printf "artifacts.jetstream.replicas: %d, but nats.evaluation is one server; leave it at 0 or name a NATS of that many" (int64 .jetstream.replicas)) -}}
{{- end -}}
{{- if and (ne .kind "folder") .folder.existingClaim -}}
{{- $faults = append $faults (printf "artifacts: artifacts.folder.existingClaim is set, but artifacts.kind is %s; there is one store of artifacts" .kind) -}}
{{- end -}}
{{- end -}}
{{- $faults | toJson -}}
{{- end -}}

{{- define "vapfarm.faultsOfPools" -}}
{{- $faults := list -}}
{{- $pools := include "vapfarm.pools" . | fromJson -}}
{{- if not $pools -}}
{{- $faults = append $faults "pools: no pool, so nothing would be rendered; name one, for example pools.gpu" -}}
{{- end -}}
{{- $owner := dict -}}
{{- $rest := list -}}
{{- range $name, $pool := $pools -}}
{{- if not $pool.models -}}{{- $rest = append $rest $name -}}{{- end -}}
{{- range $pool.models -}}
{{- if hasKey $owner . -}}
{{- $faults = append $faults (printf "pools.%s.models: names %s, which pools.%s names too; a model is rendered by one pool" $name . (index $owner .)) -}}
{{- end -}}
{{- $_ := set $owner . $name -}}
{{- end -}}
{{- $faults = concat $faults (include "vapfarm.faultsOfPool" (list $name $pool) | fromJsonArray) -}}
{{- end -}}
{{- if gt (len $rest) 1 -}}
{{- $faults = append $faults (printf "pools: %s name no models, but only one pool may take the models that are left; give each of them models" (join ", " $rest)) -}}
{{- end -}}
{{- $faults | toJson -}}
{{- end -}}

{{- define "vapfarm.faultsOfPool" -}}
{{- $name := index . 0 -}}
{{- $pool := index . 1 -}}
{{- $at := printf "pools.%s" $name -}}
{{- $faults := list -}}
{{- if and $pool.models (not (has $pool.preload (list "none" "all"))) -}}
{{- range splitList "," $pool.preload -}}
{{- $model := regexFind "^[^@:/]+" . -}}
{{- if not (has $model $pool.models) -}}
{{- $faults = append $faults (printf "%s.preload: loads %s, but %s.models are %s, and a worker that cannot load it does not start; name one of these" $at $model $at (join ", " $pool.models)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if eq (join "," $pool.providers) "cpu" -}}
{{- if $pool.device.resource -}}
{{- $faults = append $faults (printf "%s.device.resource: %s would be held and not used, since providers are cpu only; set it to \"\" or name a provider of the device" $at $pool.device.resource) -}}
{{- end -}}
{{- if not (has $pool.architecture (list "x86_64-avx512" "x86_64-avx2" "x86_64-sse" "arm64-neon")) -}}
{{- $faults = append $faults (printf "%s.architecture: %q is no instruction set; say the nodes' (x86_64-avx512, x86_64-avx2, x86_64-sse or arm64-neon), which is part of the pool's profile" $at $pool.architecture) -}}
{{- end -}}
{{- if and (not $pool.memoryGiB) (not (dig "limits" "memory" "" $pool.resources)) -}}
{{- $faults = append $faults (printf "%s.resources.limits.memory: missing; a CPU worker's tasks may use what the pod may, so say how much that is" $at) -}}
{{- end -}}
{{- else -}}
{{- if not $pool.device.resource -}}
{{- $faults = append $faults (printf "%s.device.resource: no device, but providers are %s; name a resource, for example nvidia.com/gpu or nvidia.com/mig-1g.10gb" $at (join "," $pool.providers)) -}}
{{- end -}}
{{- if not (regexMatch "^[a-z]+_[0-9]+[a-z]*$" $pool.architecture) -}}
{{- $faults = append $faults (printf "%s.architecture: %q is no architecture of a device; say the devices', for example sm_90, which is part of the pool's profile" $at $pool.architecture) -}}
{{- end -}}
{{- if not $pool.memoryGiB -}}
{{- $faults = append $faults (printf "%s.memoryGiB: missing; say how much memory the device has (of a MIG slice: the slice's), by which the farm chooses tasks" $at) -}}
{{- end -}}
{{- end -}}
{{- range $kind := list "requests" "limits" -}}
{{- if and $pool.device.resource (hasKey (index $pool.resources $kind | default dict) $pool.device.resource) -}}
{{- $faults = append $faults (printf "%s.resources.%s: names %s, of which a worker always gets one; leave it to device.resource" $at $kind $pool.device.resource) -}}
{{- end -}}
{{- end -}}
{{- if and (has (toString $pool.maxSurge) (list "0" "0%")) (has (toString $pool.maxUnavailable) (list "0" "0%")) -}}
{{- $faults = append $faults (printf "%s: maxSurge and maxUnavailable are both 0, so no new release could ever come in; raise one" $at) -}}
{{- end -}}
{{- $faults = concat $faults (include "vapfarm.faultsOfModels" (list $at $pool) | fromJsonArray) -}}
{{- $faults | toJson -}}
{{- end -}}

{{- define "vapfarm.faultsOfModels" -}}
{{- $at := printf "%s.modelRepository" (index . 0) -}}
{{- $pool := index . 1 -}}
{{- $faults := list -}}
{{- with $pool.modelRepository -}}
{{- $kinds := compact (list (ternary "hostPath" "" (ne "" .volume.hostPath)) (ternary "existingClaim" "" (ne "" .volume.existingClaim)) (ternary "image" "" (ne "" .volume.image.reference)) (ternary "emptyDirGiB" "" (gt (int64 .volume.emptyDirGiB) 0))) -}}
{{- if not $kinds -}}
{{- $faults = append $faults (printf "%s.volume: no models; give hostPath, existingClaim, image.reference, or emptyDirGiB with pull" $at) -}}
{{- else if gt (len $kinds) 1 -}}
{{- $faults = append $faults (printf "%s.volume: %s are set; models come from one place" $at (join " and " $kinds)) -}}
{{- else if and (eq (first $kinds) "image") .pull.enabled -}}
{{- $faults = append $faults (printf "%s.pull: an image is read-only, so nothing can be pulled into it; take another volume or switch pull off" $at) -}}
{{- else if and (eq (first $kinds) "emptyDirGiB") (not .pull.enabled) -}}
{{- $faults = append $faults (printf "%s.volume.emptyDirGiB: the folder begins empty and nothing fills it; set pull.enabled=true or name a volume that holds models" $at) -}}
{{- end -}}
{{- if and (eq (first (append $kinds "")) "emptyDirGiB") (gt (int64 .pull.budgetGiB) (int64 .volume.emptyDirGiB)) -}}
{{- $faults = append $faults (printf "%s.pull.budgetGiB: %d is more than the folder's %d" $at (int64 .pull.budgetGiB) (int64 .volume.emptyDirGiB)) -}}
{{- end -}}
{{- if and .volume.hostPath .pull.enabled (not (int64 .pull.budgetGiB)) -}}
{{- $faults = append $faults (printf "%s.pull.budgetGiB: missing; without one no version is ever evicted, and models fill the node's disk; say how much of it they may have" $at) -}}
{{- end -}}
{{- if and .pull.references (not .pull.enabled) -}}
{{- $faults = append $faults (printf "%s.pull.references: nothing is pulled while pull.enabled is false" $at) -}}
{{- end -}}
{{- end -}}
{{- $faults | toJson -}}
{{- end -}}

{{- define "vapfarm.faultsOfScaling" -}}
{{- $faults := list -}}
{{- range $name, $pool := include "vapfarm.pools" . | fromJson -}}
{{- with $pool.scaling -}}
{{- if and .enabled (gt (int64 .min) (int64 .max)) -}}
{{- $faults = append $faults (printf "pools.%s.scaling: min %d is above max %d" $name (int64 .min) (int64 .max)) -}}
{{- end -}}
{{- if and .enabled (lt (int64 .max) 1) -}}
{{- $faults = append $faults (printf "pools.%s.scaling.max: 0, so the pool could never render; raise it" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $faults | toJson -}}
{{- end -}}

{{- define "vapfarm.faultsOfCoordinator" -}}
{{- $faults := list -}}
{{- $values := .Values.coordinator -}}
{{- $volume := $values.modelRepository.volume -}}
{{- if gt (len (compact (list $volume.hostPath $volume.existingClaim $volume.image.reference))) 1 -}}
{{- $faults = append $faults "coordinator.modelRepository.volume: more than one of hostPath, existingClaim and image.reference is set; models come from one place" -}}
{{- end -}}
{{- range $side, $ingress := $values.ingress -}}
{{- if $ingress.enabled -}}
{{- if not $ingress.host -}}
{{- $faults = append $faults (printf "coordinator.ingress.%s.host: missing" $side) -}}
{{- end -}}
{{- if not $values.callers.existingSecret -}}
{{- $faults = append $faults (printf "coordinator.ingress.%s: without coordinator.callers.existingSecret everybody who reaches it is an administrator" $side) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.clients) (or $values.ingress.http.enabled $values.ingress.grpc.enabled (ne $values.service.type "ClusterIP")) -}}
{{- $faults = append $faults "networkPolicy.clients: names nobody, so what comes from outside this namespace (an Ingress's controller, a load balancer) would be turned away; name its namespace or addresses" -}}
{{- end -}}
{{- if and $values.ingress.http.enabled (not $values.publicUrl) -}}
{{- $faults = append $faults "coordinator.publicUrl: missing; signed addresses begin with it, so say what the Ingress is reached under, for example https://farm.example" -}}
{{- end -}}
{{- if and (has $values.service.type (list "LoadBalancer" "NodePort")) (not $values.callers.existingSecret) -}}
{{- $faults = append $faults (printf "coordinator.service.type: %s without coordinator.callers.existingSecret makes everybody who reaches it an administrator" $values.service.type) -}}
{{- end -}}
{{- $faults | toJson -}}
{{- end -}}

{{- define "vapfarm.faultsOfMonitoring" -}}
{{- $faults := list -}}
{{- $alerts := (include "vapfarm.alerts" . | fromJson).names -}}
{{- range .Values.monitoring.prometheusRule.disabled -}}
{{- if not (has . $alerts) -}}
{{- $faults = append $faults (printf "monitoring.prometheusRule.disabled: %q is none of the chart's alerts; rules/ has their names, for example %s" . (first $alerts)) -}}
{{- end -}}
{{- end -}}
{{- $faults | toJson -}}
{{- end -}}

{{- define "vapfarm.faultsOfNames" -}}
{{- $faults := list -}}
{{- range $name, $pool := .Values.pools -}}
{{- if not (regexMatch "^[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?$" $name) -}}
{{- $faults = append $faults (printf "pools.%s: a pool's name is part of its pods' names: at most 32 lowercase letters, digits and dashes, for example gpu-a" $name) -}}
{{- end -}}
{{- end -}}
{{- $labels := list "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" "vapfarm.io/pool" -}}
{{- $given := dict "coordinator.podLabels" .Values.coordinator.podLabels -}}
{{- range $name, $pool := include "vapfarm.pools" . | fromJson -}}
{{- $_ := set $given (printf "pools.%s.podLabels" $name) $pool.podLabels -}}
{{- end -}}
{{- range $at, $own := $given -}}
{{- range $label := $labels -}}
{{- if hasKey ($own | default dict) $label -}}
{{- $faults = append $faults (printf "%s: %s belongs to the chart, which finds its pods by it" $at $label) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $faults | toJson -}}
{{- end -}}
