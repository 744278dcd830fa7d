package golden

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"comfygo/internal/recipe"
)

// CacheDir is where checkpoints are kept between test runs: $COMFYGO_TEST_CACHE, or comfygo/testdata in the user's
// cache folder. It is laid out as a models folder (checkpoints/, vae/, text_encoders/, …).
func CacheDir() (string, error) {
	if dir := os.Getenv("COMFYGO_TEST_CACHE"); dir != "" {
		return filepath.Abs(dir)
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding the test cache: %w", err)
	}
	return filepath.Join(dir, "comfygo", "testdata"), nil
}

// Ensure makes the checkpoint of the manifest file at path in the cache, unless it is there already, and returns its
// path. A file counts as there when the stamp beside it carries the manifest's SHA-256 and the file's size and time.
func Ensure(ctx context.Context, manifest string) (string, error) {
	m, err := recipe.Load(manifest)
	if err != nil {
		return "", err
	}
	dir, err := CacheDir()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, filepath.FromSlash(m.File()))
	stamp := filepath.Join(dir, ".stamps", strings.ReplaceAll(m.File(), "/", "."))
	if err := os.MkdirAll(filepath.Dir(stamp), 0o755); err != nil {
		return "", fmt.Errorf("preparing the test cache: %w", err)
	}
	if stamped(path, stamp, m.SHA256) {
		return path, nil
	}
	unlock, err := lock(ctx, stamp+".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if stamped(path, stamp, m.SHA256) { // made while we waited
		return path, nil
	}
	if path, err = m.Make(ctx, dir); err != nil {
		return "", err
	}
	if err := os.WriteFile(stamp, []byte(mark(path, m.SHA256)), 0o644); err != nil {
		return "", fmt.Errorf("stamping %s: %w", path, err)
	}
	return path, nil
}

// mark returns the text of a stamp, or "" if there is no file at path.
func mark(path, sum string) string {
	st, err := os.Stat(path)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%s %d %d\n", sum, st.Size(), st.ModTime().UnixNano())
}

func stamped(path, stamp, sum string) bool {
	b, err := os.ReadFile(stamp)
	return err == nil && len(b) > 0 && string(b) == mark(path, sum)
}

// lock takes an exclusive lock that other processes respect and that ends with this process at the latest.
func lock(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("locking the test cache: %w", err)
	}
	if err := lockFile(ctx, f); err != nil {
		return nil, fmt.Errorf("locking the test cache: %w", errors.Join(err, f.Close()))
	}
	return func() { _ = f.Close() }, nil
}
