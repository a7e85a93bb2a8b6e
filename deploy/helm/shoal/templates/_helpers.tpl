{{- define "shoal.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* What pods are selected by: (list . "component"). It never changes in the life of a release. */}}
{{- define "shoal.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ default $root.Chart.Name $root.Values.nameOverride }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- define "shoal.labels" -}}
{{- $root := index . 0 -}}
{{ include "shoal.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" }}
{{- with $root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "shoal.image" -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}

{{- define "shoal.coordinatorAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ include "shoal.fullname" . }}-coordinator
{{- else -}}
{{ required "serviceAccount.coordinatorName is needed with serviceAccount.create=false" .Values.serviceAccount.coordinatorName }}
{{- end -}}
{{- end -}}

{{- define "shoal.shardAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ include "shoal.fullname" . }}-shard
{{- else -}}
{{ required "serviceAccount.shardName is needed with serviceAccount.create=false" .Values.serviceAccount.shardName }}
{{- end -}}
{{- end -}}

{{/* Away from others of its component: (list . "component"). */}}
{{- define "shoal.apart" -}}
podAntiAffinity:
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "shoal.selector" . | nindent 12 }}
{{- end -}}

{{/* Of a server that answers on its port "http". */}}
{{- define "shoal.probes" -}}
livenessProbe:
  httpGet: { path: /-/healthy, port: http }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: { path: /-/ready, port: http }
  periodSeconds: 5
  timeoutSeconds: 5
{{- end -}}

{{/* Who a shard is. */}}
{{- define "shoal.identity" -}}
- name: POD_NAME
  valueFrom:
    fieldRef: { fieldPath: metadata.name }
- name: GROUP
  valueFrom:
    fieldRef: { fieldPath: "metadata.labels['shoal/group']" }
{{- end -}}
