package app

import (
	"context"
	"log/slog"
	"os"
	"strings"

	"comfygo/cli"
	"comfygo/engine"
	"comfygo/executor"
	"comfygo/metrics"
	"comfygo/metrics/tracing"
	"comfygo/server/measure"
)

// openTraces makes the tracer if the command line or OpenTelemetry's environment enables it; otherwise it returns nil.
func openTraces(cfg cli.Config, log *slog.Logger) (*tracing.Tracer, error) {
	asked := cfg.OTLPEndpoint != ""
	for _, name := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"} {
		asked = asked || os.Getenv(name) != ""
	}
	if !asked || strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") {
		return nil, nil
	}
	return tracing.New(context.Background(), tracing.Config{Endpoint: cfg.OTLPEndpoint, Version: Version, Log: log})
}

// traces returns the tracer for the server, or a nil interface.
func (p *parts) traces() measure.Traces {
	if p.tracer == nil {
		return nil
	}
	return p.tracer
}

// watchNodes returns the executor's hook that records spans of nodes; nil without a tracer.
func watchNodes(t *tracing.Tracer) func(context.Context, executor.Work) (context.Context, func(error)) {
	if t == nil {
		return nil
	}
	return func(ctx context.Context, w executor.Work) (context.Context, func(error)) {
		return t.Node(ctx, w.NodeID, w.Class)
	}
}

// watchNetworks returns the engine's hook that records spans of networks; nil without a tracer.
func watchNetworks(t *tracing.Tracer) func(context.Context, engine.Work) func(error) {
	if t == nil {
		return nil
	}
	return func(ctx context.Context, w engine.Work) func(error) { return t.Network(ctx, w.Loading, w.Network) }
}

func (p *parts) closeTraces() error {
	if p.tracer == nil {
		return nil
	}
	return p.tracer.Close()
}

// modelFigures are the engine's for /metrics.
func (p *parts) modelFigures() metrics.Models {
	s := p.engine.Stats()
	m := metrics.Models{Ready: s.Networks, Bytes: s.WeightBytes, Loads: s.Loads, Reuses: s.Reuses, Evictions: s.Evictions}
	for _, a := range s.Devices {
		m.Devices = append(m.Devices, metrics.DeviceModels{Device: a.Device.String(), Sessions: a.Sessions, Weights: a.Weights, Running: a.Running, Peak: a.Peak})
	}
	return m
}
