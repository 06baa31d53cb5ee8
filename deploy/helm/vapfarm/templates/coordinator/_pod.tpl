{{/* The pod of a coordinator. It keeps nothing: what lies in its folders are uploads and manifests on their way. */}}
{{- define "vapfarm.coordinatorPod" -}}
{{- $values := .Values.coordinator -}}
serviceAccountName: {{ include "vapfarm.name" (list . "coordinator") }}
# It talks to Kubernetes only where it sets the size of pools.
automountServiceAccountToken: {{ ternary "true" "false" (ne "" (include "vapfarm.scales" .)) }}
# The pause before SIGTERM, the coordinator's own limit on its stop (15 s), and room.
terminationGracePeriodSeconds: 35
{{ include "vapfarm.podCommon" (list . $values) }}
{{- with $values.topologySpread }}
topologySpreadConstraints:
  {{- range . }}
  - maxSkew: 1
    topologyKey: {{ .topologyKey }}
    whenUnsatisfiable: {{ .whenUnsatisfiable }}
    nodeTaintsPolicy: Honor
    # Of one revision: an old pod that is about to go holds no place.
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels:
        {{- include "vapfarm.selector" (list $ "coordinator") | nindent 8 }}
  {{- end }}
{{- end }}
initContainers:
  # A coordinator refuses an older schema and would be started again and again, later each time; this waits for the migration Job.
  - name: schema
    image: {{ include "vapfarm.ownImage" . | quote }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    {{- include "vapfarm.command" (list "migrate" "--check" "--wait" (printf "%ds" (int64 .Values.migration.waitSeconds))) | nindent 4 }}
    env:
      {{- include "vapfarm.databaseUrl" . | nindent 6 }}
    resources:
      {{- toYaml .Values.migration.resources | nindent 6 }}
    {{- include "vapfarm.containerSecurity" . | nindent 4 }}
    volumeMounts:
      - name: tmp
        mountPath: /tmp
containers:
  - name: coordinator
    image: {{ include "vapfarm.ownImage" . | quote }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    {{- include "vapfarm.program" "coordinator" | nindent 4 }}
    env:
      {{- include "vapfarm.coordinatorEnv" . | trim | nindent 6 }}
    ports:
      - name: grpc
        containerPort: 7443
      - name: http
        containerPort: 8080
    {{- include "vapfarm.coordinatorProbes" . | nindent 4 }}
    lifecycle:
      preStop:
        # Until every node has heard that this pod takes no new connections.
        sleep:
          seconds: 5
    resources:
      {{- toYaml $values.resources | nindent 6 }}
    {{- include "vapfarm.containerSecurity" . | nindent 4 }}
    volumeMounts:
      - name: state
        mountPath: /var/lib/vapfarm/coordinator
      - name: tmp
        mountPath: /tmp
      {{- include "vapfarm.modelsMount" . | nindent 6 }}
      {{- with include "vapfarm.artifactsMount" . | trim }}
      {{- . | nindent 6 }}
      {{- end }}
volumes:
  - name: state
    emptyDir:
      sizeLimit: {{ int64 $values.stateGiB }}Gi
  - name: tmp
    emptyDir:
      sizeLimit: 2Gi
  {{- include "vapfarm.modelsVolume" $values.modelRepository | nindent 2 }}
  {{- with include "vapfarm.artifactsVolume" . | trim }}
  {{- . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* Live: the process answers. Ready: Postgres and NATS answer too. An outage of those takes it out of its Service and restarts nothing. It
answers once it has reached both, so the start has five minutes. */}}
{{- define "vapfarm.coordinatorProbes" -}}
startupProbe:
  httpGet:
    path: /healthz
    port: http
  periodSeconds: 2
  failureThreshold: 150
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

{{- define "vapfarm.publicUrl" -}}
{{- .Values.coordinator.publicUrl | default (printf "http://%s.%s.svc:8080" (include "vapfarm.name" (list . "coordinator")) .Release.Namespace) -}}
{{- end -}}

{{- define "vapfarm.coordinatorEnv" -}}
{{- $values := .Values.coordinator }}
{{ include "vapfarm.databaseUrl" . }}
{{ include "vapfarm.natsUrl" . }}
- name: VAPFARM_FARM
  value: {{ .Values.farm | quote }}
- name: VAPFARM_POOLS
  value: {{ include "vapfarm.poolsSetting" . | quote }}
{{- if include "vapfarm.scales" . }}
- name: VAPFARM_SCALING
  value: {{ include "vapfarm.scalingSetting" . | quote }}
{{- end }}
{{- with $values.callers }}
{{- if .existingSecret }}
{{ include "vapfarm.secretVariable" (list "VAPFARM_CALLERS" .existingSecret .key) }}
{{- end }}
{{- end }}
- name: VAPFARM_MODELS
  value: /models
{{ include "vapfarm.artifacts" . }}
- name: VAPFARM_STATE_FOLDER
  value: /var/lib/vapfarm/coordinator
- name: VAPFARM_HTTP_ADDRESS
  value: 0.0.0.0:8080
- name: VAPFARM_GRPC_ADDRESS
  value: 0.0.0.0:7443
- name: VAPFARM_PUBLIC_URL
  value: {{ include "vapfarm.publicUrl" . | quote }}
- name: VAPFARM_LOG_LEVEL
  value: {{ .Values.logLevel }}
{{- include "vapfarm.tracing" . }}
{{- include "vapfarm.settings" $values.settings }}
{{- end -}}
