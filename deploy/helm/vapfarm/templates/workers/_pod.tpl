{{/*
The pod of a worker: (list $ name pool). One worker per device.

The worker's folder is one volume, because its cache holds hard links into its scratch, and both are removed and made anew at each
start, which a mount point could not be.
*/}}
{{- define "vapfarm.workerPod" -}}
{{- $root := index . 0 -}}
{{- $pool := index . 2 -}}
serviceAccountName: {{ include "vapfarm.name" (list $root "worker") }}
automountServiceAccountToken: false
# The drain, what the agent does after it, and room: a kill in between would cost the last checkpoint.
terminationGracePeriodSeconds: {{ include "vapfarm.workerGraceSeconds" $pool }}
{{ include "vapfarm.podCommon" (list $root $pool) }}
{{- if $pool.modelRepository.pull.enabled }}
initContainers:
  {{- include "vapfarm.modelsPull" . | nindent 2 }}
{{- end }}
containers:
  - name: worker
    {{- include "vapfarm.workerImage" (list $root $pool) | nindent 4 }}
    {{- include "vapfarm.program" "worker" | nindent 4 }}
    env:
      {{- include "vapfarm.workerEnv" . | trim | nindent 6 }}
    ports:
      - name: http
        containerPort: 8081
    {{- include "vapfarm.workerProbes" . | nindent 4 }}
    resources:
      {{- include "vapfarm.workerResources" $pool | nindent 6 }}
    {{- include "vapfarm.containerSecurity" . | nindent 4 }}
    volumeMounts:
      - name: worker
        mountPath: /var/lib/vapfarm/worker
      - name: tmp
        mountPath: /tmp
      - name: shm
        mountPath: /dev/shm
      {{- include "vapfarm.modelsMount" . | nindent 6 }}
      {{- with include "vapfarm.artifactsMount" $root | trim }}
      {{- . | nindent 6 }}
      {{- end }}
volumes:
  {{- include "vapfarm.workFolder" $pool | nindent 2 }}
  - name: tmp
    emptyDir:
      sizeLimit: 2Gi
  - name: shm
    emptyDir:
      medium: Memory
      sizeLimit: {{ $pool.sharedMemory }}
  {{- include "vapfarm.modelsVolume" $pool.modelRepository | nindent 2 }}
  {{- with include "vapfarm.artifactsVolume" $root | trim }}
  {{- . | nindent 2 }}
  {{- end }}
{{- end -}}

{{- define "vapfarm.workerImage" -}}
{{- $root := index . 0 -}}
{{- $pool := index . 1 -}}
{{- $isCpu := eq (join "," $pool.providers) "cpu" -}}
{{- $image := ternary $root.Values.image $root.Values.gpuImage $isCpu -}}
{{- if $pool.image.repository -}}{{- $image = $pool.image -}}{{- end -}}
image: {{ include "vapfarm.image" (list $image $root.Chart.AppVersion) | quote }}
imagePullPolicy: {{ $image.pullPolicy | default "IfNotPresent" }}
{{- end -}}

{{/* Worker id, pid file, scratch and cache: each pod its own, gone with it. */}}
{{- define "vapfarm.workFolder" -}}
{{- $sizeGiB := add (int64 .cacheGiB) (int64 .scratchGiB) -}}
- name: worker
  {{- if .workFolder.storageClassName }}
  ephemeral:
    volumeClaimTemplate:
      spec:
        accessModes: [ReadWriteOnce]
        storageClassName: {{ .workFolder.storageClassName }}
        resources:
          requests:
            storage: {{ $sizeGiB }}Gi
  {{- else }}
  emptyDir:
    sizeLimit: {{ $sizeGiB }}Gi
  {{- end }}
{{- end -}}

{{/*
Live: the process answers, whatever NATS or the coordinators do, so that an outage kills no run. Ready: it can take work, after its models are
loaded, however long that takes. The start is over as soon as the process answers, so that nothing kills a worker that loads.
*/}}
{{- define "vapfarm.workerProbes" -}}
startupProbe:
  httpGet:
    path: /healthz
    port: http
  periodSeconds: 2
  failureThreshold: 60
livenessProbe:
  httpGet:
    path: /healthz
    port: http
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet:
    path: /readyz
    port: http
  periodSeconds: 5
  timeoutSeconds: 3
  failureThreshold: 2
{{- end -}}

{{/* One device: the worker is one process with one runtime. */}}
{{- define "vapfarm.workerResources" -}}
{{- $resources := deepCopy .resources -}}
{{- with .device.resource -}}
{{- $one := dict . 1 -}}
{{- $_ := set $resources "limits" (merge $one ($resources.limits | default dict)) -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end -}}

{{- define "vapfarm.workerEnv" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $pool := index . 2 -}}
{{- $isCpu := eq (join "," $pool.providers) "cpu" }}
{{ include "vapfarm.natsUrl" $root }}
- name: VAPFARM_FARM
  value: {{ $root.Values.farm | quote }}
- name: VAPFARM_POOL
  value: {{ $name | quote }}
- name: VAPFARM_WORKER_NAME
  valueFrom:
    fieldRef:
      fieldPath: metadata.name
- name: VAPFARM_WORKER_FOLDER
  value: /var/lib/vapfarm/worker
- name: VAPFARM_MODELS
  value: /models
{{- with $pool.models }}
- name: VAPFARM_WORKER_MODELS
  value: {{ join "," . | quote }}
{{- else }}
{{- with include "vapfarm.namedModels" $root }}
- name: VAPFARM_WORKER_EXCEPT_MODELS
  value: {{ . | quote }}
{{- end }}
{{- end }}
{{ include "vapfarm.artifacts" $root }}
- name: VAPFARM_PROVIDERS
  value: {{ join "," $pool.providers | quote }}
- name: VAPFARM_THREADS
  value: {{ int64 $pool.threads | quote }}
{{- if not $isCpu }}
- name: VAPFARM_RUNTIME_ARCHITECTURE
  value: {{ $pool.architecture | quote }}
{{- end }}
{{- /* Else the worker would take the node's memory for its own, and keep more engines open than fit. */}}
{{- $memory := list "VAPFARM_MEMORY_BYTES" }}
{{- if not (hasKey $pool.settings "VAPFARM_RUNTIME_SESSION_BYTES") }}
{{- $memory = append $memory "VAPFARM_RUNTIME_SESSION_BYTES" }}
{{- end }}
{{- range $memory }}
- name: {{ . }}
{{- if $pool.memoryGiB }}
  value: {{ include "vapfarm.bytes" $pool.memoryGiB | quote }}
{{- else }}
  valueFrom:
    resourceFieldRef:
      containerName: worker
      resource: limits.memory
      divisor: "1"
{{- end }}
{{- end }}
- name: VAPFARM_CACHE_BYTES
  value: {{ include "vapfarm.bytes" $pool.cacheGiB | quote }}
- name: VAPFARM_DRAIN_MS
  value: {{ mul (int64 $pool.drainSeconds) 1000 | quote }}
- name: VAPFARM_LEAVE_AT_ONCE
  value: {{ ternary "1" "0" $pool.leaveAtOnce | quote }}
- name: VAPFARM_PRELOAD
  value: {{ $pool.preload | quote }}
- name: VAPFARM_HTTP_ADDRESS
  value: 0.0.0.0:8081
- name: VAPFARM_LOG_LEVEL
  value: {{ $root.Values.logLevel }}
{{- include "vapfarm.tracing" $root }}
{{- include "vapfarm.settings" $pool.settings }}
{{- end -}}
