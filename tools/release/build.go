package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// zigTargets are zig's names of the targets.
var zigTargets = map[string]string{"darwin/arm64": "aarch64-macos", "windows/amd64": "x86_64-windows-gnu"}

// extras go into every archive beside the program.
var extras = []string{"README.md", "CHANGELOG.md", "LICENSE", "SECURITY.md", "THIRD_PARTY_NOTICES.md", "demo/workflow.json", "demo/MODEL_CARD.md", "deploy", "docs"}

// target builds and packs for one GOOS/GOARCH and returns the files it has put into out.
func (r *release) target(ctx context.Context, target string) ([]string, error) {
	system, arch, ok := strings.Cut(target, "/")
	if !ok {
		return nil, fmt.Errorf("%q is not GOOS/GOARCH", target)
	}
	work, err := os.MkdirTemp("", "comfygo-release-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(work) }()
	name := "comfygo"
	if system == "windows" {
		name += ".exe"
	}
	binary := filepath.Join(work, name)
	if err := r.build(ctx, target, system, arch, binary); err != nil {
		return nil, err
	}
	base := fmt.Sprintf("comfygo-%s-%s-%s", r.version, system, arch)
	files := []archived{{base + "/" + name, binary, 0o755}}
	for _, extra := range extras {
		more, err := filesOf(extra, base)
		if err != nil {
			return nil, err
		}
		files = append(files, more...)
	}
	archive := base + ".tar.gz"
	pack := writeTar
	if system == "windows" {
		archive, pack = base+".zip", writeZip
	}
	if err := write(filepath.Join(r.out, archive), func(w io.Writer) error { return pack(w, files, r.date) }); err != nil {
		return nil, fmt.Errorf("packing %s: %w", archive, err)
	}
	bill := base + ".cdx.json"
	if err := write(filepath.Join(r.out, bill), func(w io.Writer) error { return r.writeSBOM(w, binary) }); err != nil {
		return nil, fmt.Errorf("writing %s: %w", bill, err)
	}
	return []string{archive, bill}, nil
}

// build compiles the stripped program with version, commit and date inside.
func (r *release) build(ctx context.Context, target, system, arch, binary string) error {
	x := "-X comfygo/app.Version=" + r.version + " -X comfygo/app.commit=" + r.commit + " -X comfygo/app.date=" + r.date.Format(time.RFC3339)
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags", "-s -w "+x, "-o", binary, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=1", "GOOS="+system, "GOARCH="+arch, "GOFLAGS=-trimpath", "CGO_CFLAGS=-g -O2 -Wno-deprecated-declarations")
	if target != runtime.GOOS+"/"+runtime.GOARCH {
		cc, cxx, err := r.compilers(target)
		if err != nil {
			return err
		}
		cmd.Env = append(cmd.Env, "CC="+cc, "CXX="+cxx)
	}
	var said bytes.Buffer
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		lines := strings.Split(strings.TrimSpace(said.String()), "\n")
		return fmt.Errorf("%w: %s", err, strings.Join(lines[:min(len(lines), 12)], "\n"))
	}
	return nil
}

// gccTargets are GCC's names of the targets of its cross compilers: zig 0.17's linker lacks an option that go-nvml needs on Linux.
var gccTargets = map[string]string{"linux/amd64": "x86_64-linux-gnu", "linux/arm64": "aarch64-linux-gnu"}

// compilers are the commands of the C and C++ compilers for another system.
func (r *release) compilers(target string) (cc, cxx string, err error) {
	if gcc := gccTargets[target]; gcc != "" {
		if _, err := exec.LookPath(gcc + "-gcc"); err != nil {
			return "", "", fmt.Errorf("%s-gcc is not installed (Debian: gcc-%s, g++-%s): install it, or build on such a machine by `make release`", gcc, gcc, gcc)
		}
		return gcc + "-gcc", gcc + "-g++", nil
	}
	zig := zigTargets[target]
	switch {
	case zig == "":
		return "", "", errors.New("there is no cross compiler for it: build on such a machine by `make release`")
	case r.cc == nil:
		return "", "", errors.New("zig is not installed (`make zig` gets it): install it, or build on such a machine by `make release`")
	}
	with := strings.Join(r.cc, " ")
	return with + " cc -target " + zig, with + " c++ -target " + zig, nil
}

// archived is one file of an archive.
type archived struct {
	name, path string
	mode       os.FileMode
}

// filesOf lists a file, or all files of a folder, as they go below base.
func filesOf(path, base string) ([]archived, error) {
	var files []archived
	err := filepath.WalkDir(path, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if !strings.HasSuffix(p, "_test.go") {
			files = append(files, archived{base + "/" + filepath.ToSlash(p), p, 0o644})
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("collecting the files of the archive: %w", err)
	}
	return files, nil
}

// write makes a file by fill, whole or not at all.
func write(path string, fill func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".release-")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }() // after the rename there is nothing to remove
	if err := errors.Join(fill(f), f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// writeSums writes SHA256SUMS of the named files, as sha256sum -c reads it.
func writeSums(dir string, names []string) error {
	slices.Sort(names)
	return write(filepath.Join(dir, "SHA256SUMS"), func(w io.Writer) error {
		for _, name := range names {
			sum, err := fileSum(filepath.Join(dir, name))
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(w, "%s  %s\n", sum, name); err != nil {
				return err
			}
		}
		return nil
	})
}

func fileSum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
