// Command checkpoint makes the synthetic checkpoints of the golden tests from their manifests.
//
//	go run ./tools/checkpoint -o models tests/testdata/golden/models/sd15-small.json.gz …
//
// Each file goes to the folder below -o that its manifest names, such as checkpoints/. A file that exists with the
// right SHA-256 is left alone. With -cache the files go to the cache that the tests use. With -sum nothing is written,
// only the SHA-256 is computed and compared.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"comfygo/internal/golden"
	"comfygo/internal/recipe"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "checkpoint:", err)
		os.Exit(1) //nolint:gocritic // stop has nothing left to release
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	fs := flag.NewFlagSet("checkpoint", flag.ContinueOnError)
	dir := fs.String("o", "models", "models `folder` to write to")
	cache := fs.Bool("cache", false, "write to the tests' cache instead")
	sumOnly := fs.Bool("sum", false, "compute and compare the SHA-256 only")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() == 0 {
		return errors.New("no manifest given")
	}
	for _, path := range fs.Args() {
		m, err := recipe.Load(path)
		if err != nil {
			return err
		}
		start := time.Now()
		var where string
		if *cache {
			where, err = golden.Ensure(ctx, path)
		} else {
			where, err = one(ctx, m, *dir, *sumOnly)
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s  %s  %d bytes  %.1f s\n", m.SHA256, where, m.Bytes, time.Since(start).Seconds())
	}
	return nil
}

// one makes or checks one checkpoint and prints its path.
func one(ctx context.Context, m *recipe.Manifest, dir string, sumOnly bool) (string, error) {
	if sumOnly {
		sum, err := m.Sum(ctx)
		if err == nil && sum != m.SHA256 {
			err = fmt.Errorf("%s: sha256 is %s, the manifest says %s", m.Name, sum, m.SHA256)
		}
		return m.Name, err
	}
	path := filepath.Join(dir, filepath.FromSlash(m.File()))
	if sum, err := sumFile(path); err == nil && sum == m.SHA256 {
		return path, nil
	}
	return m.Make(ctx, dir)
}

func sumFile(path string) (string, error) {
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
