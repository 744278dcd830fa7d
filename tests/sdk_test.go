package tests_test

import (
	"context"
	"errors"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"comfygo/tests/golden"
)

// sdkFolder is where `make sdks` puts the clients that others have written.
const sdkFolder = "bin/sdks"

// sdkKey is the key of the servers that require one.
const sdkKey = "sdk-test-key-0123456789"

// missing says loudly that a test did not run, and how it would.
func missing(t *testing.T, what string) {
	t.Helper()
	t.Skipf("NOT TESTED: %s is not here. Run `make sdks` to install the pinned SDKs, and then the tests again.", what)
}

// testImage writes a small PNG.
func testImage(t *testing.T) string {
	t.Helper()
	img := image.NewNRGBA(image.Rect(0, 0, 12, 8))
	for y := range 8 {
		for x := range 12 {
			img.SetNRGBA(x, y, color.NRGBA{uint8(x * 20), uint8(y * 30), 90, 255})
		}
	}
	path := filepath.Join(t.TempDir(), "photo.png")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(png.Encode(f, img), f.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

// runSDK runs a script with an SDK against servers with and without keys and the catalogue.
func runSDK(t *testing.T, root string, command ...string) {
	t.Parallel()
	for name, flags := range map[string][]string{
		"plain":      nil,
		"with keys":  {"--api-key", sdkKey},
		"with files": {"--enable-assets", "--queue", "sqlite"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, flags...)
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, command[0], command[1:]...)
			cmd.Env = append(os.Environ(), "COMFY_BASE_URL="+s.Base, "COMFY_TEST_IMAGE="+testImage(t), "COMFYGO_SDK_ROOT="+root, "COMFY_API_KEY=")
			if len(flags) > 1 && flags[0] == "--api-key" {
				cmd.Env = append(cmd.Env, "COMFY_API_KEY="+sdkKey)
			}
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %v\n%s", command, err, out)
			}
			t.Logf("%s", out)
		})
	}
}

// TestSDKNode: the npm package runs against the server as it runs against Comfy's own.
func TestSDKNode(t *testing.T) {
	repo, err := golden.Root()
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(repo, filepath.FromSlash(sdkFolder), "node")
	node, err := exec.LookPath("node")
	if err != nil {
		missing(t, "node")
	}
	if _, err := os.Stat(filepath.Join(root, "node_modules", "@comfyorg", "sdk")); err != nil {
		missing(t, "the npm package @comfyorg/sdk")
	}
	runSDK(t, root, node, filepath.Join(repo, "tests", "sdk", "v2.mjs"))
}

// sdkPython is the interpreter with the packages of `make sdks`.
func sdkPython(t *testing.T) (python, repo string) {
	t.Helper()
	repo, err := golden.Root()
	if err != nil {
		t.Fatal(err)
	}
	python = filepath.Join(repo, filepath.FromSlash(sdkFolder), "python", "bin", "python")
	if runtime.GOOS == "windows" {
		python = filepath.Join(repo, filepath.FromSlash(sdkFolder), "python", "Scripts", "python.exe")
	}
	if _, err := os.Stat(python); err != nil {
		missing(t, "Python with the package comfy-sdk")
	}
	return python, repo
}

// TestSDKPython: so does the PyPI package, both its clients.
func TestSDKPython(t *testing.T) {
	python, repo := sdkPython(t)
	runSDK(t, filepath.Dir(filepath.Dir(python)), python, filepath.Join(repo, "tests", "sdk", "v2.py"))
}
