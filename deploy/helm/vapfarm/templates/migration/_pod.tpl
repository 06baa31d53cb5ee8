{{- define "vapfarm.migrationPod" -}}
serviceAccountName: {{ include "vapfarm.name" (list . "migration") }}
automountServiceAccountToken: false
restartPolicy: Never
{{ include "vapfarm.podCommon" (list . .Values.migration) }}
containers:
  - name: migration
    image: {{ include "vapfarm.ownImage" . | quote }}
    imagePullPolicy: {{ .Values.image.pullPolicy }}
    {{- include "vapfarm.command" (list "migrate" "--wait" (printf "%ds" (int64 .Values.migration.waitSeconds))) | nindent 4 }}
    env:
      {{- include "vapfarm.directDatabaseUrl" . | nindent 6 }}
    resources:
      {{- toYaml .Values.migration.resources | nindent 6 }}
    {{- include "vapfarm.containerSecurity" . | nindent 4 }}
    volumeMounts:
      - name: tmp
        mountPath: /tmp
volumes:
  - name: tmp
    emptyDir:
      sizeLimit: 64Mi
{{- end -}}
