package assets

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/zeebo/blake3"
)

const (
	hashPrefix = "blake3:"
	hashDigits = 64
	hashPiece  = 1 << 20 // bytes between two looks at whether to go on
)

// CleanHash returns a hash in its canonical form, "blake3:" and 64 lower-case digits, or false if it is not valid.
func CleanHash(text string) (string, bool) {
	text = strings.ToLower(strings.TrimSpace(text))
	digits, ok := strings.CutPrefix(text, hashPrefix)
	return text, ok && len(digits) == hashDigits && strings.Trim(digits, "0123456789abcdef") == ""
}

// Hasher hashes the data that is written to it.
type Hasher struct{ h *blake3.Hasher }

// NewHasher returns an empty hasher.
func NewHasher() *Hasher { return &Hasher{blake3.New()} }

// Write adds bytes; it never fails.
func (h *Hasher) Write(b []byte) (int, error) { return h.h.Write(b) }

// Hash returns the hash of the bytes written so far, as the catalogue stores it.
func (h *Hasher) Hash() string { return hashPrefix + hex.EncodeToString(h.h.Sum(nil)) }

var errChanged = errors.New("the file changed while it was read")

// hashFile hashes a file. Between pieces it calls wait, if there is one: while that waits the file is closed, so that
// the file can still be moved, and an error of wait ends the work. It fails when the file changes meanwhile.
func hashFile(ctx context.Context, path string, wait func(pause func()) error) (hash string, err error) {
	before, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	r := &resumed{path: path, size: before.Size(), mtime: before.ModTime()}
	defer r.close()
	h := NewHasher()
	piece := make([]byte, hashPiece)
	for {
		if err := ctx.Err(); err != nil {
			return "", err
		}
		if wait != nil {
			if err := wait(r.close); err != nil {
				return "", err
			}
		}
		n, err := r.read(piece)
		_, _ = h.Write(piece[:n])
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return "", err
		}
	}
	if !r.same() {
		return "", fmt.Errorf("hashing %s: %w", path, errChanged)
	}
	return h.Hash(), nil
}

// resumed reads a file that is closed now and then.
type resumed struct {
	path  string
	size  int64
	mtime time.Time
	f     *os.File
	at    int64
}

func (r *resumed) same() bool {
	info, err := os.Stat(r.path)
	return err == nil && info.Mode().IsRegular() && info.Size() == r.size && info.ModTime().Equal(r.mtime)
}

func (r *resumed) read(b []byte) (int, error) {
	if r.f == nil {
		if !r.same() {
			return 0, fmt.Errorf("hashing %s: %w", r.path, errChanged)
		}
		f, err := os.Open(r.path)
		if err != nil {
			return 0, err
		}
		r.f = f
	}
	n, err := r.f.ReadAt(b, r.at)
	r.at += int64(n)
	return n, err
}

func (r *resumed) close() {
	if r.f != nil {
		_ = r.f.Close()
		r.f = nil
	}
}
