{{- define "dispatcher.name" -}}
{{- if contains "dispatcher" .Release.Name }}{{ .Release.Name | trunc 48 | trimSuffix "-" }}{{ else }}{{ printf "%s-dispatcher" .Release.Name | trunc 48 | trimSuffix "-" }}{{ end -}}
{{- end }}

{{/* What never changes for a component, so that a Deployment can be upgraded. Takes a list: the root, the component. */}}
{{- define "dispatcher.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "dispatcher.labels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: dispatcher
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ $root.Chart.Name }}-{{ $root.Chart.Version }}
{{- if gt (len .) 1 }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}
{{- end }}

{{/* What every pod has: few rights, a read-only root with a /tmp, and the command. Takes a dict: root, component,
     command, seconds, container (the rest of it). */}}
{{- define "dispatcher.pod" -}}
{{- $values := .root.Values -}}
automountServiceAccountToken: false
{{- with .seconds }}
terminationGracePeriodSeconds: {{ . }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "dispatcher.selector" (list $.root $.component) | nindent 8 }}
{{- else }}
restartPolicy: Never
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile:
    type: RuntimeDefault
containers:
  - name: {{ .component }}
    image: {{ with $values.image }}{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.root.Chart.AppVersion }}{{ end }}{{ end }}
    {{- with $values.image.pullPolicy }}
    imagePullPolicy: {{ . }}
    {{- end }}
    command: ["/bin/sh", "-c"]
    args:
      - exec {{ .command }}
    {{- .container | nindent 4 }}
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities:
        drop: [ALL]
    volumeMounts:
      - name: tmp
        mountPath: /tmp
volumes:
  - name: tmp
    emptyDir: {}
{{- with $values.podSpec }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* A Deployment. Takes what dispatcher.pod takes, and replicas and scaled. */}}
{{- define "dispatcher.deployment" -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ include "dispatcher.name" .root }}-{{ .component }}
  labels:
    {{- include "dispatcher.labels" (list .root .component) | nindent 4 }}
spec:
  {{- if not .scaled }}
  replicas: {{ .replicas }}
  {{- end }}
  revisionHistoryLimit: 3
  selector:
    matchLabels:
      {{- include "dispatcher.selector" (list .root .component) | nindent 6 }}
  strategy:
    type: RollingUpdate
    rollingUpdate:
      maxSurge: 1
      maxUnavailable: 0
  template:
    metadata:
      annotations:
        checksum/config: {{ .root.Values.config | toJson | sha256sum }}
      labels:
        {{- include "dispatcher.labels" (list .root .component) | nindent 8 }}
    spec:
      {{- include "dispatcher.pod" . | nindent 6 }}
{{- end }}

{{/* Takes a list: the root, the component. */}}
{{- define "dispatcher.service" -}}
{{- $root := index . 0 -}}
apiVersion: v1
kind: Service
metadata:
  name: {{ include "dispatcher.name" $root }}-{{ index . 1 }}
  labels:
    {{- include "dispatcher.labels" . | nindent 4 }}
spec:
  selector:
    {{- include "dispatcher.selector" . | nindent 4 }}
  ports:
    - name: http
      port: 80
      targetPort: http
{{- end }}

{{/* Takes a list: the root, the component, its autoscaling. */}}
{{- define "dispatcher.autoscaler" -}}
{{- $root := index . 0 -}}
{{- $scaling := index . 2 -}}
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: {{ include "dispatcher.name" $root }}-{{ index . 1 }}
  labels:
    {{- include "dispatcher.labels" (list $root (index . 1)) | nindent 4 }}
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: {{ include "dispatcher.name" $root }}-{{ index . 1 }}
  minReplicas: {{ $scaling.minReplicas }}
  maxReplicas: {{ $scaling.maxReplicas }}
  behavior:
    scaleDown:
      stabilizationWindowSeconds: 300
  metrics:
    {{- with $scaling.metrics }}
    {{- toYaml . | nindent 4 }}
    {{- else }}
    - type: Resource
      resource:
        name: cpu
        target:
          type: Utilization
          averageUtilization: 80
    {{- end }}
{{- end }}

{{/* An httpGet probe. Takes a list: path, period, failures. */}}
{{- define "dispatcher.probe" -}}
httpGet:
  path: {{ index . 0 }}
  port: http
periodSeconds: {{ index . 1 }}
timeoutSeconds: 5
failureThreshold: {{ index . 2 }}
{{- end }}

{{- define "dispatcher.environment" -}}
envFrom:
  - configMapRef:
      name: {{ include "dispatcher.name" .root }}{{ .suffix }}
  - secretRef:
      name: {{ .secret }}
{{- end }}
