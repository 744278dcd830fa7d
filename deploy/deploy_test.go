// Package deploy_test checks the examples of this folder as far as no engine is needed; tests/proxy_test.go runs the proxies.
package deploy_test

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"comfygo/cli"
)

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestVariables finds every variable of the examples among those that the program reads.
func TestVariables(t *testing.T) {
	t.Parallel()
	variable := regexp.MustCompile(`COMFYGO_[A-Z_0-9]+`)
	known := cli.Variables()
	for _, name := range []string{"Dockerfile", "compose.yaml", "comfygo.service", "kubernetes.yaml", "fleet.compose.yaml", "fleet.kubernetes.yaml"} {
		found := variable.FindAllString(read(t, name), -1)
		if len(found) == 0 {
			t.Errorf("%s uses no variable", name)
		}
		for _, v := range found {
			if !slices.Contains(known, v) {
				t.Errorf("%s: no flag is set by %s", name, v)
			}
		}
	}
}

func TestConfigFile(t *testing.T) {
	t.Parallel()
	cfg, err := cli.Parse("--config", "comfygo.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if cfg.BaseDirectory != "/var/lib/comfygo" || cfg.ONNXRuntime == "" || cfg.LogFormat != "json" || cfg.Listen != "127.0.0.1" {
		t.Errorf("%+v", cfg)
	}
	all := filepath.Join(t.TempDir(), "all.yaml") // the lines that are commented out are flags, too
	if err := os.WriteFile(all, []byte(strings.NewReplacer("# allowed", "allowed", "# auth:", "auth:").Replace(read(t, "comfygo.yaml"))), 0o600); err != nil {
		t.Fatal(err)
	}
	if cfg, err = cli.Parse("--config", all); err != nil || !cfg.Auth || len(cfg.AllowedHosts) != 1 {
		t.Errorf("%+v, %v", cfg, err)
	}
}

// TestDockerfile holds what both images have: another user than root, a health check, pinned bases, the licences.
func TestDockerfile(t *testing.T) {
	t.Parallel()
	stages := regexp.MustCompile(`(?m)^FROM `).Split(read(t, "Dockerfile"), -1)[1:]
	images := 0
	for _, stage := range stages {
		base, _, _ := strings.Cut(stage, " ")
		if strings.Contains(base, ".") && !strings.Contains(base, ":") || strings.HasSuffix(base, ":latest") {
			t.Errorf("the base %s is not pinned", base)
		}
		if !strings.Contains(stage, "\nENTRYPOINT") {
			continue
		}
		images++
		for _, line := range []string{"\nUSER 10001\n", "\nHEALTHCHECK ", `CMD ["comfygo", "health"]`, "\nSTOPSIGNAL SIGTERM\n", "THIRD_PARTY_NOTICES.md", "\nVOLUME /data\n", "COMFYGO_ONNXRUNTIME=/usr/local/lib/comfygo"} {
			if !strings.Contains(stage, line) {
				t.Errorf("the image of %s lacks %q", base, line)
			}
		}
	}
	if images != 2 || !strings.HasPrefix(stages[len(stages)-1], "debian:") {
		t.Errorf("%d images; the last stage, which is built by default, is that for the CPU", images)
	}
}

// TestUnit has systemd read the unit, where it is installed, with a program and a user that exist here.
func TestUnit(t *testing.T) {
	t.Parallel()
	unit := read(t, "comfygo.service")
	for _, line := range []string{"SuccessExitStatus=143", "KillSignal=SIGTERM", "Restart=on-failure", "COMFYGO_CONFIG=/etc/comfygo/comfygo.yaml"} {
		if !strings.Contains(unit, line) {
			t.Errorf("the unit lacks %s", line)
		}
	}
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd is not installed")
	}
	unit = strings.NewReplacer("/usr/local/bin/comfygo", "/bin/true", "file:/usr/share/doc/comfygo/README.md", "man:true(1)").Replace(unit)
	path := filepath.Join(t.TempDir(), "comfygo.service")
	if err := os.WriteFile(path, []byte(unit), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), tool, "verify", "--man=no", path).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "comfygo.service") && !strings.Contains(line, "not found") {
			t.Errorf("systemd-analyze: %s (%v)", line, err)
		}
	}
}

// TestYAML reads the other YAML files and checks the probes.
func TestYAML(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"compose.yaml", "ci/release.yml"} {
		var doc map[string]any
		if err := yaml.Unmarshal([]byte(read(t, name)), &doc); err != nil || len(doc) == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	var kinds []string
	docs := yaml.NewDecoder(strings.NewReader(read(t, "kubernetes.yaml")))
	for {
		var doc struct {
			Kind string
			Spec struct {
				Template struct {
					Spec struct {
						Containers []map[string]any
						Security   map[string]any `yaml:"securityContext"`
					}
				}
			}
		}
		err := docs.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, doc.Kind)
		if doc.Kind != "Deployment" {
			continue
		}
		if doc.Spec.Template.Spec.Security["runAsNonRoot"] != true {
			t.Error("the pod may run as root")
		}
		for probe, path := range map[string]string{"livenessProbe": "/health", "readinessProbe": "/ready", "startupProbe": "/health"} {
			p, _ := doc.Spec.Template.Spec.Containers[0][probe].(map[string]any)
			get, _ := p["httpGet"].(map[string]any)
			if get["path"] != path || get["port"] != "http" {
				t.Errorf("%s: %v", probe, p)
			}
		}
	}
	if want := []string{"PersistentVolumeClaim", "Deployment", "Service"}; !slices.Equal(kinds, want) {
		t.Errorf("%v", kinds)
	}
}

// TestFleet has the program read the flags of the servers and workers of both examples, and checks which credentials each of them
// can read.
func TestFleet(t *testing.T) {
	t.Parallel()
	var compose struct {
		Services map[string]struct {
			Command []string
			Volumes []string
		}
		Volumes map[string]any
	}
	if err := yaml.Unmarshal([]byte(read(t, "fleet.compose.yaml")), &compose); err != nil {
		t.Fatal(err)
	}
	flags := map[string][]string{}
	for name, s := range compose.Services {
		flags["compose: "+name] = s.Command
		for _, v := range s.Volumes {
			volume, _, _ := strings.Cut(v, ":")
			if _, known := compose.Volumes[volume]; !known {
				t.Errorf("compose: %s has the unknown volume %s", name, volume)
			}
		}
	}
	docs := yaml.NewDecoder(strings.NewReader(read(t, "fleet.kubernetes.yaml")))
	var kinds []string
	for {
		var doc struct {
			Kind     string
			Metadata struct{ Name string }
			Spec     struct {
				Template struct {
					Spec struct {
						Containers []struct{ Args []string }
						Volumes    []struct {
							Secret struct{ Items []struct{ Key string } }
						}
						Security map[string]any `yaml:"securityContext"`
					}
				}
			}
		}
		err := docs.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, doc.Kind)
		pod := doc.Spec.Template.Spec
		if doc.Kind != "Deployment" {
			continue
		}
		if pod.Security["runAsNonRoot"] != true {
			t.Errorf("%s may run as root", doc.Metadata.Name)
		}
		args := pod.Containers[0].Args
		flags[doc.Metadata.Name] = args
		for _, v := range pod.Volumes {
			for _, item := range v.Secret.Items {
				if !slices.Contains(args, "/nats/"+item.Key) {
					t.Errorf("%s can read %s, which is not its own", doc.Metadata.Name, item.Key)
				}
			}
		}
	}
	if want := []string{"PersistentVolumeClaim", "Deployment", "Deployment", "Service"}; !slices.Equal(kinds, want) {
		t.Errorf("%v", kinds)
	}
	for name, words := range flags {
		if len(words) > 0 && words[0] == "nats" {
			continue
		}
		if cfg, err := cli.Parse(words...); err != nil || !cfg.InNATS() || cfg.Role == "all" || cfg.QueueCredentials != "/nats/"+cfg.Role+".nk" {
			t.Errorf("%s: %+v, %v", name, cfg, err)
		}
	}
}
