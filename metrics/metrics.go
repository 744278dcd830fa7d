package metrics

import (
	"net/http"
	"runtime"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Outcomes of a job.
const (
	Succeeded   = "success"
	Failed      = "error"
	Interrupted = "interrupted"
	TimedOut    = "time_limit"
	// PutBack: the server ended while the job ran; it runs again.
	PutBack = "put_back"
)

// Outcomes are all of them: the figures of each are there from the start.
func Outcomes() []string { return []string{Succeeded, Failed, Interrupted, TimedOut, PutBack} }

// Metrics are the figures of one server. Its methods may be called from any goroutine; those of a nil *Metrics do nothing.
type Metrics struct {
	registry *prometheus.Registry
	handler  http.Handler

	wait     prometheus.Histogram
	run      *prometheus.HistogramVec
	nodes    *prometheus.CounterVec
	steps    prometheus.Counter
	speed    prometheus.Gauge
	requests *prometheus.HistogramVec
}

const namespace = "comfygo"

// New makes the figures of a program of the version. Functions that Sources lacks leave their figures out.
func New(version string, from Sources) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.handler = promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), source{from})
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "build_info", Help: "Always 1; the labels tell which program this is.",
		ConstLabels: prometheus.Labels{"version": version, "go": runtime.Version()},
	})
	build.Set(1)
	m.wait = prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: namespace, Name: "queue_wait_seconds", Help: "How long jobs waited from their acceptance to their start.",
		Buckets: prometheus.ExponentialBuckets(0.001, 4, 12),
	})
	m.run = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: "job_run_seconds", Help: "How long jobs ran, by how they ended.",
		Buckets: prometheus.ExponentialBuckets(0.005, 3, 12),
	}, []string{"outcome"})
	m.nodes = prometheus.NewCounterVec(prometheus.CounterOpts{
		Namespace: namespace, Name: "nodes_total", Help: "Nodes of jobs: run, or taken from the cache.",
	}, []string{"result"})
	m.steps = prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: namespace, Name: "sampler_steps_total", Help: "Steps that samplers have done.",
	})
	m.speed = prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: namespace, Name: "sampler_steps_per_second", Help: "The speed of the sampler that ran last.",
	})
	m.requests = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: namespace, Name: "http_request_seconds", Help: "How long requests took, by method, the router's pattern and status.",
		Buckets: []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60},
	}, []string{"method", "route", "status"})
	m.registry.MustRegister(build, m.wait, m.run, m.nodes, m.steps, m.speed, m.requests)
	for _, outcome := range Outcomes() {
		m.run.WithLabelValues(outcome)
	}
	m.nodes.WithLabelValues(nodeRun)
	m.nodes.WithLabelValues(nodeCached)
	return m
}

// Results of a node.
const (
	nodeRun    = "run"
	nodeCached = "cached"
)

// ServeHTTP answers with all figures.
func (m *Metrics) ServeHTTP(w http.ResponseWriter, r *http.Request) { m.handler.ServeHTTP(w, r) }

// Waited records the time that a job waited.
func (m *Metrics) Waited(d time.Duration) {
	if m != nil {
		m.wait.Observe(max(0, d.Seconds()))
	}
}

// Ran records the time that a job ran and its outcome.
func (m *Metrics) Ran(outcome string, d time.Duration) {
	if m != nil {
		m.run.WithLabelValues(outcome).Observe(d.Seconds())
	}
}

// Nodes records the numbers of a job's nodes that were run, and of results that came from the cache.
func (m *Metrics) Nodes(run, cached int) {
	if m != nil {
		m.nodes.WithLabelValues(nodeRun).Add(float64(run))
		m.nodes.WithLabelValues(nodeCached).Add(float64(cached))
	}
}

// Stepped records steps of a sampler, and their rate per second; 0 if it is not known yet.
func (m *Metrics) Stepped(n int, perSecond float64) {
	if m == nil {
		return
	}
	m.steps.Add(float64(n))
	if perSecond > 0 {
		m.speed.Set(perSecond)
	}
}

// Requested records a request. route is the pattern of the router, "" if no route matches.
func (m *Metrics) Requested(method, route string, status int, d time.Duration) {
	if m == nil {
		return
	}
	if route == "" {
		route = "none"
	}
	m.requests.WithLabelValues(known(method), route, strconv.Itoa(status)).Observe(d.Seconds())
}

// known is the method, unless a client has made it up.
func known(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return method
	}
	return "other"
}
