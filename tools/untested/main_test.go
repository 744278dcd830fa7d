package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comfygo/frontend"
)

func TestReport(t *testing.T) {
	t.Parallel()
	there := func() (string, error) { return "/usr/bin/chromium", nil }
	all := frontend.Found{Root: "r", Templates: map[string]string{"a.json": "a"}}
	for name, test := range map[string]struct {
		browser func() (string, error)
		found   frontend.Found
		want    []string
	}{
		"all there":    {there, all, nil},
		"no browser":   {func() (string, error) { return "", errors.New("no browser here") }, all, []string{"NOT TESTED: the pages", "no browser here"}},
		"no frontend":  {there, frontend.Found{}, []string{"NOT TESTED: ComfyUI's own frontend"}},
		"no templates": {there, frontend.Found{Root: "r"}, []string{"NOT TESTED: the conversion"}},
	} {
		var out bytes.Buffer
		report(&out, test.browser, func() frontend.Found { return test.found })
		if len(test.want) == 0 && out.Len() > 0 {
			t.Errorf("%s: %s", name, out.String())
		}
		for _, w := range test.want {
			if !strings.Contains(out.String(), w) {
				t.Errorf("%s: %q is not in %q", name, w, out.String())
			}
		}
	}
}

func TestReportSDKs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	node := filepath.Join(dir, "node", "node_modules", "@comfyorg", "sdk")
	if err := os.MkdirAll(node, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(node, "package.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	reportSDKs(&out, dir)
	if said := out.String(); !strings.Contains(said, "NOT TESTED: the client comfy-sdk") || strings.Contains(said, "@comfyorg/sdk") {
		t.Errorf("with the client for Node alone: %q", said)
	}
}

func TestReportFFmpeg(t *testing.T) {
	t.Parallel()
	for want, lacking := range map[string]func() ([]string, error){
		"":                            func() ([]string, error) { return nil, nil },
		"built without aac, libx264.": func() ([]string, error) { return []string{"aac", "libx264"}, nil },
		"NOT TESTED: video files, and audio files other than WAV and FLAC.\n*** no ffmpeg here": func() ([]string, error) { return nil, errors.New("no ffmpeg here") },
	} {
		var out bytes.Buffer
		reportFFmpeg(&out, lacking)
		if !strings.Contains(out.String(), want) || want == "" && out.Len() > 0 {
			t.Errorf("%q, want %q", out.String(), want)
		}
	}
}

func TestReportMachine(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	reportShaders(&out, func() error { return nil })
	reportCPU(&out, "AVX-512")
	if out.Len() > 0 {
		t.Errorf("where all is there: %q", out.String())
	}
	reportShaders(&out, func() error { return errors.New("no libEGL here") })
	reportCPU(&out, "AVX2")
	reportCPU(&out, "")
	for _, want := range []string{"NOT TESTED: the class GLSLShader.\n*** no libEGL here", "the kernels for AVX-512", "neither AVX-512 nor AVX2"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in %q", want, out.String())
		}
	}
}

func TestDeploymentProgramsAreNamed(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	reportDeployment(&out, func(name string) (string, error) {
		if name == "caddy" {
			return "/usr/bin/caddy", nil
		}
		return "", errors.New("missing")
	})
	if text := out.String(); !strings.Contains(text, "nginx is not installed") || strings.Contains(text, "caddy is not") {
		t.Errorf("%s", text)
	}
}
