package app

import (
	"context"
	"fmt"

	"comfygo/cli"
	"comfygo/internal/apiclient"
)

// remoteFindings asks a running server how it is.
func remoteFindings(ctx context.Context, s *apiclient.Client, server string) ([]finding, error) {
	var stats struct {
		System struct {
			Free    int64  `json:"ram_free"`
			Total   int64  `json:"ram_total"`
			Program string `json:"python_version"`
			Library string `json:"pytorch_version"`
		} `json:"system"`
		Devices []struct {
			Name  string `json:"name"`
			Free  int64  `json:"vram_free"`
			Total int64  `json:"vram_total"`
		} `json:"devices"`
	}
	if err := s.Get(ctx, "/system_stats", &stats); err != nil {
		return nil, err
	}
	list := []finding{{good, "server", stats.System.Program + " at " + server, ""}, {good, "library", stats.System.Library, ""}}
	var health struct {
		Status  string `json:"status"`
		Error   string `json:"error"`
		Runtime struct {
			Devices []struct {
				Device   string `json:"device"`
				Sessions int    `json:"sessions"`
				Weights  int64  `json:"weight_bytes"`
				Running  int64  `json:"running_bytes"`
				Peak     int64  `json:"peak_bytes"`
			} `json:"devices"`
		} `json:"runtime"`
	}
	if err := s.Get(ctx, "/health", &health); err != nil {
		list = append(list, finding{broken, "health", err.Error(), "look into the server's log"})
	} else {
		f := finding{good, "health", health.Status, ""}
		if health.Error != "" {
			f = finding{broken, "health", health.Status + ": " + health.Error, "run `comfygo setup` there, or start the server with --no-models"}
		}
		list = append(list, f)
	}
	memory := finding{good, "memory", fmt.Sprintf("%.1f GiB free of %.1f", float64(stats.System.Free)/gib, float64(stats.System.Total)/gib), ""}
	if stats.System.Free < littleMemory {
		memory.verdict, memory.remedy = warning, "close other programs there, or start it with --lowvram"
	}
	list = append(list, memory)
	for _, d := range stats.Devices {
		list = append(list, finding{good, "device", fmt.Sprintf("%s, %.1f GiB free of %.1f", d.Name, float64(d.Free)/gib, float64(d.Total)/gib), ""})
	}
	for _, d := range health.Runtime.Devices {
		list = append(list, finding{good, "networks", fmt.Sprintf("%d ready on %s, %.1f GiB of weights, activations about %.1f GiB now and %.1f at most",
			d.Sessions, d.Device, float64(d.Weights)/gib, float64(d.Running)/gib, float64(d.Peak)/gib), ""})
	}
	var queue struct {
		Running, Pending int
		Paused           bool
		Error            string
	}
	if err := s.Get(ctx, "/api/v1/queue", &queue); err != nil {
		return nil, err
	}
	q := finding{good, "queue", fmt.Sprintf("%d running, %d waiting", queue.Running, queue.Pending), ""}
	switch {
	case queue.Error != "":
		q = finding{broken, "queue", queue.Error, "make room, or make its file writable"}
	case queue.Paused:
		q.verdict, q.text, q.remedy = warning, q.text+", paused", "comfygo queue resume"
	}
	list = append(list, q)
	return remoteModelFindings(ctx, s, list)
}

// remoteModelFindings adds a server's findings about its checkpoints.
func remoteModelFindings(ctx context.Context, s *apiclient.Client, list []finding) ([]finding, error) {
	files, err := describedModels(ctx, s, "checkpoints")
	if err != nil {
		return nil, err
	}
	usable := 0
	var problems []finding
	for _, m := range files {
		if m.Usable == nil || *m.Usable {
			usable++
		} else if len(problems) < mostProblems {
			problems = append(problems, finding{warning, "model", "checkpoints/" + m.Name + " " + m.state(), ""})
		}
	}
	sum := finding{good, "models", plural(len(files), "checkpoint"), ""}
	if usable < len(files) {
		sum.text += fmt.Sprintf(" (%d usable)", usable)
	}
	if usable == 0 {
		sum.verdict, sum.remedy = warning, "put one that runs into models/checkpoints, or start it with --demo-model"
	}
	return append(append(list, sum), problems...), nil
}

// doctorOf reports how a running server is.
func (c Command) doctorOf(ctx context.Context, cfg cli.Config, o cli.RemoteOptions) error {
	s, err := remote(cfg, o)
	if err != nil {
		return err
	}
	list, err := remoteFindings(ctx, s, o.Server)
	if err != nil {
		return plainly(err, o.Server)
	}
	return c.report(list, o.JSON)
}

// report prints findings, for people or as JSON.
func (c Command) report(list []finding, asJSON bool) error {
	if !asJSON {
		return report(c.Stdout, list)
	}
	type line struct {
		Verdict string `json:"verdict"`
		What    string `json:"what"`
		Text    string `json:"text"`
		Remedy  string `json:"remedy,omitempty"`
	}
	lines, failed := []line{}, 0
	for _, f := range list {
		if f.verdict == good {
			f.remedy = ""
		}
		if f.verdict == broken {
			failed++
		}
		lines = append(lines, line{map[verdict]string{good: "ok", warning: "warn", broken: "fail"}[f.verdict], f.what, f.text, f.remedy})
	}
	if err := c.print(lines); err != nil {
		return err
	}
	if failed > 0 {
		return &cli.ExitError{Code: cli.CodeFailed}
	}
	return nil
}
