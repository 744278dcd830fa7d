package ortlib

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"comfygo/internal/download"
)

const content = "the library's bytes"

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// archive writes a wheel or a .tgz that holds one member, and returns its path and checksum.
func archive(t *testing.T, name, member string) (path, sha string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasSuffix(name, ".whl") {
		z := zip.NewWriter(f)
		w, _ := z.Create(member)
		_, _ = w.Write([]byte(content))
		err = z.Close()
	} else {
		gz := gzip.NewWriter(f)
		w := tar.NewWriter(gz)
		_ = w.WriteHeader(&tar.Header{Name: member, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content))})
		_, _ = w.Write([]byte(content))
		err = errors.Join(w.Close(), gz.Close())
	}
	if err = errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, sum(b)
}

// copier is a client that "downloads" a local file, as pip or npm would.
func copier(kind download.Kind, src string, runs *atomic.Int32) download.Client {
	return download.Client{
		Name: "cp", Kind: kind,
		Find: func() string { return "/bin/sh" },
		Args: func(_ download.Item, dir string) []string {
			runs.Add(1)
			return []string{"-c", `cp "$0" "$1"`, src, dir}
		},
	}
}

func testOptions(t *testing.T) Options {
	t.Helper()
	o, err := Options{
		Cache: t.TempDir(), Platform: "linux/amd64", SystemDirs: []string{},
		Env: func(string) string { return "" }, Clients: []download.Client{},
	}.complete()
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestFetchInstallsCheckedFiles(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a.whl", "a.tgz"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := testOptions(t)
			member := "pkg/lib/libonnxruntime.so.1.31.1"
			src, sha := archive(t, name, member)
			var runs atomic.Int32
			a := Asset{Kind: Wheel, Project: "p", Version: "1", SHA256: sha, Files: []File{{member, int64(len(content)), sum([]byte(content))}}}
			path, err := fetchWith(context.Background(), copier(Wheel, src, &runs), o, a)
			if err != nil {
				t.Fatal(err)
			}
			if got, _ := os.ReadFile(path); string(got) != content {
				t.Errorf("installed %q", got)
			}
			if got, err := Find(o); err != nil || got != path {
				t.Errorf("Find after the fetch: %q, %v, want %q", got, err, path)
			}
			left, _ := filepath.Glob(filepath.Join(o.Cache, ".fetch-*"))
			if len(left) != 0 {
				t.Errorf("work folders were left: %v", left)
			}
		})
	}
}

func TestFetchRefusesWhatDoesNotMatch(t *testing.T) {
	t.Parallel()
	member := "lib/libonnxruntime.so.1.31.1"
	src, sha := archive(t, "a.whl", member)
	good := sum([]byte(content))
	tests := []struct {
		name  string
		asset Asset
		want  string
	}{
		{"archive", Asset{SHA256: sum(nil), Files: []File{{member, 0, good}}}, "checking a.whl: its sha256 is"},
		{"library", Asset{SHA256: sha, Files: []File{{member, 0, sum(nil)}}}, "checking libonnxruntime.so.1.31.1: its sha256 is"},
		{"member", Asset{SHA256: sha, Files: []File{{"lib/other.so", 0, good}}}, "does not hold lib/other.so"},
		{"size", Asset{SHA256: sha, Files: []File{{member, 3, good}}}, "is larger than 3 bytes"},
		{"unpinned", Asset{Files: []File{{member, 0, good}}}, "needs its checksum"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			o := testOptions(t)
			var runs atomic.Int32
			test.asset.Kind = Wheel
			_, err := fetchWith(context.Background(), copier(Wheel, src, &runs), o, test.asset)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want an error with %q", err, test.want)
			}
			if _, err := Find(o); !errors.Is(err, ErrNotFound) {
				t.Errorf("something was installed: %v", err)
			}
		})
	}
}

func TestEnsureWithoutAnyClientNamesTheFileAndThePlace(t *testing.T) {
	t.Parallel()
	o := testOptions(t)
	var lines []string
	o.Log = func(l string) { lines = append(lines, l) }
	o.Clients = []download.Client{{Name: "pip", Kind: Wheel, Find: func() string { return "" }}}
	_, err := Ensure(context.Background(), o)
	if !errors.Is(err, ErrNotFound) {
		t.Fatalf("got %v, want ErrNotFound", err)
	}
	for _, want := range []string{"pip is not on this machine", "libonnxruntime.so.1.31.1", filepath.Join(o.Cache, "1.31.1-cpu")} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error lacks %q: %v", want, err)
		}
	}
	if len(lines) != 1 {
		t.Errorf("logged %q, want one line for the one client", lines)
	}
	o.Platform = "plan9/mips"
	if _, err := Ensure(context.Background(), o); !errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), "plan9/mips") {
		t.Errorf("an unknown platform: got %v", err)
	}
}

// The pins are data that a slip of the hand can break: every asset must be complete and well-formed.
func TestPinsAreWellFormed(t *testing.T) {
	t.Parallel()
	hex64 := regexp.MustCompile(`^[0-9a-f]{64}$`)
	for _, table := range []map[string][]Asset{cpuAssets, cudaAssets} {
		for platform, all := range table {
			for _, a := range all {
				if a.Kind != Release && !hex64.MatchString(a.SHA256) {
					t.Errorf("%s %s: archive sum %q", platform, a.Kind, a.SHA256)
				}
				if versionOf(filepath.Base(a.Files[0].Member)) == nil && !strings.HasSuffix(a.Files[0].Member, ".dll") {
					t.Errorf("%s %s: %s is not a library's name", platform, a.Kind, a.Files[0].Member)
				}
				for _, f := range a.Files {
					if a.Kind != Release && (!hex64.MatchString(f.SHA256) || f.Size <= 0) {
						t.Errorf("%s %s: %s has sum %q, size %d", platform, a.Kind, f.Member, f.SHA256, f.Size)
					}
				}
			}
		}
	}
}

func TestReleaseAddress(t *testing.T) {
	t.Parallel()
	got := cpuAssets["linux/amd64"][2].item(testOptions(t)).URL
	if want := DefaultRelease + "/v1.31.1/onnxruntime-linux-x64-1.31.1.tgz"; got != want {
		t.Errorf("the release archive is looked for at %s, not %s", got, want)
	}
}
