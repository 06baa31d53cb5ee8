{{- define "vapfarm.natsConfig" -}}
port: 4222
http: 8222
# A silent client is given up after two pings, within 6 s: else requests go on being handed to one that cannot hear them.
ping_interval: "2s"
ping_max: 2
jetstream {
  store_dir: "/data"
  # What was acknowledged is on the disk.
  sync_interval: always
  max_memory_store: 64MB
  # Of the claim, with room for what the file system itself needs.
  max_file_store: {{ mul (int64 .storage.sizeGiB) 900 }}MB
}
{{- end -}}
