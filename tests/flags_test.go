package tests_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// changesNothing are the flags that steer PyTorch, with a value where they need one: each is accepted with one line.
var changesNothing = map[string]string{
	"--cuda-malloc": "", "--disable-cuda-malloc": "", "--fp64-unet": "", "--fp8_e4m3fn-unet": "", "--fp8_e5m2-unet": "", "--fp8_e8m0fnu-unet": "",
	"--fp8_e4m3fn-text-enc": "", "--fp8_e5m2-text-enc": "", "--fp16-intermediates": "", "--force-channels-last": "", "--directml": "", "--oneapi-device-selector": "gpu",
	"--supports-fp8-compute": "", "--enable-triton-backend": "", "--disable-triton-backend": "", "--use-split-cross-attention": "", "--use-quad-cross-attention": "",
	"--use-pytorch-cross-attention": "", "--use-sage-attention": "", "--use-flash-attention": "", "--use-ck-attention": "", "--disable-xformers": "",
	"--force-upcast-attention": "", "--dont-upcast-attention": "", "--enable-manager": "", "--disable-manager-ui": "", "--enable-manager-legacy-ui": "",
	"--disable-nvml-pressure": "", "--async-offload": "2", "--disable-async-offload": "", "--disable-dynamic-vram": "", "--enable-dynamic-vram": "", "--fast-disk": "",
	"--disable-cuda-graphs": "", "--force-non-blocking": "", "--default-hashing-function": "md5", "--disable-smart-memory": "", "--deterministic": "",
	"--fast": "autotune", "--mmap-torch-files": "", "--disable-mmap": "",
}

// onGPUs are the flags that only a GPU obeys, and CPUs with AMX or AVX512-BF16 those for bfloat16: on the CPU one line says so.
var onGPUs = []string{"--force-fp16", "--fp16-unet", "--bf16-unet", "--fp16-vae", "--bf16-vae", "--fp16-text-enc", "--bf16-text-enc"}

// elsewhere are the flags that other tests hold to what they say.
var elsewhere = map[string]string{
	"--help": "cli TestHelpListsEveryFlag", "--list-feature-flags": "cli TestListFeatureFlags", "--listen": "TestSeveralAddresses", "--port": "TestPortInUse",
	"--tls-keyfile": "app TestCertificateIsReadAgain", "--tls-certfile": "app TestCertificateIsReadAgain", "--base-directory": "TestStart", "--dont-print-server": "TestFlagsAtStart",
	"--quick-test-for-ci": "TestFlagsAtStart", "--auto-launch": "TestFlagsAtStart", "--disable-auto-launch": "TestFlagsAtStart", "--windows-standalone-build": "TestFlagsAtStart",
	"--verbose": "app TestLog", "--log-stdout": "app TestLog", "--debug-hang": "TestFlagsAtStart",
	"--cuda-device": "app TestDeviceFlags", "--default-device": "app TestDeviceFlags", "--force-fp32": "app TestEngineFlags", "--fp32-unet": "app TestEngineFlags",
	"--fp32-vae": "app TestEngineFlags", "--fp32-text-enc": "app TestEngineFlags", "--cpu-vae": "app TestEngineFlags", "--gpu-only": "app TestEngineFlags",
	"--highvram": "app TestEngineFlags", "--lowvram": "app TestEngineFlags", "--novram": "app TestEngineFlags", "--reserve-vram": "app TestEngineFlags",
	"--vram-headroom": "app TestEngineFlags", "--disable-pinned-memory": "app TestEngineFlags", "--preview-method": "TestFlagsOfPreviews", "--preview-size": "TestFlagsOfPreviews",
	"--cache-lru": "tests/conformance cachelru", "--cache-none": "tests/conformance cachenone", "--cache-classic": "tests/conformance cacheclassic",
	"--front-end-version": "frontend",
}

// TestEveryFlag holds the table: each flag of the recorded parser acts, says that it does not, or is checked elsewhere.
func TestEveryFlag(t *testing.T) {
	t.Parallel()
	var flags []struct{ Names []string }
	if err := json.Unmarshal(readFile(t, "../cli/testdata/flags.json"), &flags); err != nil {
		t.Fatal(err)
	}
	if len(flags) < 100 {
		t.Fatalf("%d flags are recorded", len(flags))
	}
	for _, f := range flags {
		name := f.Names[len(f.Names)-1]
		_, silent := changesNothing[name]
		n := 0
		for _, here := range []bool{silent, contains(onGPUs, name), elsewhere[name] != "", acting[name].check != nil} {
			if here {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%s is in %d of the tables", name, n)
		}
	}
}

func contains(list []string, s string) bool {
	for _, e := range list {
		if e == s {
			return true
		}
	}
	return false
}

// TestFlagsThatChangeNothing starts the program with each: it starts, and says so in one line.
func TestFlagsThatChangeNothing(t *testing.T) {
	t.Parallel()
	for flag, value := range changesNothing {
		t.Run(flag, func(t *testing.T) {
			t.Parallel()
			args := []string{"--quick-test-for-ci", "--base-directory", t.TempDir(), flag}
			if value != "" {
				args = append(args, value)
			}
			oneLine(t, flag, args)
		})
	}
	for _, flag := range onGPUs {
		t.Run(flag, func(t *testing.T) {
			t.Parallel()
			says := flag
			if flag == "--force-fp16" {
				says = "--fp16-unet"
			}
			oneLine(t, says, []string{"--quick-test-for-ci", "--cpu", "--base-directory", t.TempDir(), flag})
		})
	}
}

// oneLine runs the program to its end; exactly one line of its warnings names the flag.
func oneLine(t *testing.T, flag string, args []string) {
	t.Helper()
	code, _, stderr := command(t, args...)
	lines := 0
	for line := range strings.SplitSeq(stderr, "\n") {
		if strings.Contains(line, flag+" ") || strings.Contains(line, flag+":") {
			lines++
		}
	}
	if code != 0 || lines != 1 {
		t.Errorf("exit code %d, %d lines name it:\n%s", code, lines, stderr)
	}
}

// flagCase is the check that a flag has an effect: the server is started with args ({DIR} is an empty folder), and
// check tests it.
type flagCase struct {
	args  []string
	check func(t *testing.T, s *instance, dir string)
}

// TestFlagsThatAct starts the program with each flag and checks its effect.
func TestFlagsThatAct(t *testing.T) {
	t.Parallel()
	for flag, c := range acting {
		t.Run(flag, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			args := make([]string, len(c.args))
			for i, a := range c.args {
				args[i] = strings.ReplaceAll(a, "{DIR}", dir)
			}
			if !contains(args, flag) {
				t.Fatalf("the flag is not among %v", args)
			}
			prepareFlagDir(t, dir)
			c.check(t, start(t, append(args, "--python", "none")...), dir)
		})
	}
}

// prepareFlagDir makes what the flags name.
func prepareFlagDir(t *testing.T, dir string) {
	t.Helper()
	for name, text := range map[string]string{
		"front/index.html": "the front end", "paths.yaml": "x:\n  base_path: " + dir + "\n  loras: more\n", "more/found.safetensors": "x", "models/vae/v.safetensors": "x",
		"user/default/comfy.settings.json": `{"seen": 5}`, "custom_nodes/one/__init__.py": "WEB_DIRECTORY = 'js'\n", "custom_nodes/one/js/a.js": "1",
		"custom_nodes/two/__init__.py": "WEB_DIRECTORY = 'js'\n", "custom_nodes/two/js/b.js": "1",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		writeFile(t, path, []byte(text))
	}
}

// aWorkflow saves an 8x8 image.
const aWorkflow = `{"1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 255}}, "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "flag"}}}`

func savedImage(t *testing.T, s *instance) []byte {
	t.Helper()
	r := s.run(t, json.RawMessage(aWorkflow))
	files := r.Files("2", "images")
	if len(files) != 1 {
		t.Fatalf("%d images", len(files))
	}
	return s.view(t, files[0])
}

// cachedAgain counts the nodes that do not run in the second of two equal prompts.
func cachedAgain(t *testing.T, s *instance) int {
	t.Helper()
	savedImage(t, s)
	r := s.run(t, json.RawMessage(aWorkflow))
	cached := -1
	for _, m := range r.Status.Messages {
		var name string
		var data struct{ Nodes []string }
		if len(m) == 2 && json.Unmarshal(m[0], &name) == nil && name == "execution_cached" && json.Unmarshal(m[1], &data) == nil {
			cached = len(data.Nodes)
		}
	}
	return cached
}

func mustHave(t *testing.T, what string, got any, want string) {
	t.Helper()
	if !strings.Contains(fmt.Sprint(got), want) {
		t.Errorf("%s is %v, want %s", what, got, want)
	}
}
