package app

import (
	"context"
	"io"
	"log/slog"
	"testing"

	"comfygo/cli"
	"comfygo/engine"
	"comfygo/folders"
	"comfygo/frontend"
)

// For the tests of this package.
var (
	ParseWorkflow     = parseWorkflow
	SetInputs         = setInputs
	OnlyLoopback      = onlyLoopback
	DeployEnvironment = deployEnvironment
	CheckFFmpeg       = checkFFmpeg
	CheckFolder       = checkFolder
	Report            = report
	WantsColor        = wantsColor
)

// Verdicts of findings.
const (
	Good    = good
	Warning = warning
	Broken  = broken
)

// Finding is a line of the doctor's report.
type Finding = finding

// NewFinding makes a finding.
func NewFinding(v verdict, what, text, remedy string) Finding { return finding{v, what, text, remedy} }

// Verdict returns a finding's verdict.
func (f finding) Verdict() verdict { return f.verdict }

// Text returns what a finding says.
func (f finding) Text() string { return f.text }

// URL returns the address of an endpoint.
func (e endpoint) URL() string { return e.url }

// Listen opens the sockets.
func Listen(ctx context.Context, cfg cli.Config) ([]endpoint, error) {
	_, ends, err := ListenTLS(ctx, cfg)
	return ends, err
}

// ListenTLS is Listen and returns the certificate, too.
func ListenTLS(ctx context.Context, cfg cli.Config) (*certificate, []endpoint, error) {
	cert, err := loadCertificate(cfg, nil)
	if err != nil {
		return nil, nil, err
	}
	ends, err := listen(ctx, cfg, cert)
	return cert, ends, err
}

// QueuePolicy reads how jobs are treated.
var QueuePolicy = queuePolicy

// EngineConfig returns the engine's configuration by a command line.
func EngineConfig(cfg cli.Config) (engine.Config, error) {
	dirs, err := folders.New(folders.Config{Base: "."})
	if err != nil {
		return engine.Config{}, err
	}
	m, err := findMachine(cfg)
	return engineConfig(cfg, m, dirs, slog.New(slog.DiscardHandler)), err
}

// WantedGPU is the number of the GPU that has to be used, -1 for any.
func WantedGPU(cfg cli.Config) int { return wanted(cfg).GPU }

// ShowDevices narrows what CUDA sees.
var ShowDevices = showDevices

// FindPages is findPages with a log of plain lines.
func FindPages(cfg cli.Config, base string, log io.Writer) frontend.Found {
	return findPages(cfg, base, slog.New(slog.NewTextHandler(log, nil)))
}

// TLSWarnings are what loading the certificate of the flags warns of.
func TLSWarnings(cfg cli.Config) (warnings []string, err error) {
	_, err = loadCertificate(cfg, func(text string) { warnings = append(warnings, text) })
	return warnings, err
}

// ChecksHosts is checksHosts.
var ChecksHosts = checksHosts

// CheckModels is checkModels over the model folders below a base folder.
func CheckModels(tb testing.TB, base string) []Finding {
	tb.Helper()
	dirs, err := folders.New(folders.Config{Base: base})
	if err != nil {
		tb.Fatal(err)
	}
	return checkModels(tb.Context(), dirs)
}
