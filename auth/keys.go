// Package auth knows who may talk to the server: API keys, a plain set of equals.
//
// Keys are kept as digests only and compared in constant time. The package must not know anything of HTTP: where a
// request carries its key is the middleware's matter.
package auth

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"os"
	"strings"
)

// minKeyLength refuses keys that could be guessed by trying them all.
const minKeyLength = 8

// Keys is a set of API keys. The zero value and nil hold no key: nobody has to show one.
type Keys struct {
	digests [][sha256.Size]byte
}

// NewKeys makes a set of the given keys and of those in the files, one a line; empty lines and lines that begin with #
// are skipped. A key shorter than 8 characters, a file that cannot be read and a file without any key are errors: a
// server that was told to ask for keys must not start without one.
func NewKeys(keys, files []string) (*Keys, error) {
	k := &Keys{}
	for _, key := range keys {
		if err := k.add(strings.TrimSpace(key)); err != nil {
			return nil, fmt.Errorf("adding an api key: %w", err)
		}
	}
	for _, file := range files {
		if err := k.addFile(file); err != nil {
			return nil, fmt.Errorf("reading api keys from %s: %w", file, err)
		}
	}
	return k, nil
}

func (k *Keys) addFile(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	found := 0
	lines := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; lines.Scan(); n++ {
		key := strings.TrimSpace(strings.TrimPrefix(lines.Text(), "\ufeff"))
		if key == "" || strings.HasPrefix(key, "#") {
			continue
		}
		if err := k.add(key); err != nil {
			return fmt.Errorf("line %d: %w", n, err)
		}
		found++
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if found == 0 {
		return fmt.Errorf("no key in it")
	}
	return nil
}

func (k *Keys) add(key string) error {
	if len(key) < minKeyLength {
		return fmt.Errorf("a key needs at least %d characters, this one has %d", minKeyLength, len(key))
	}
	k.digests = append(k.digests, sha256.Sum256([]byte(key)))
	return nil
}

// Required reports whether a key has to be shown at all.
func (k *Keys) Required() bool { return k != nil && len(k.digests) > 0 }

// Allow reports whether key is one of the set. It takes the same time whichever key matches, if any does.
func (k *Keys) Allow(key string) bool {
	if k == nil {
		return false
	}
	given := sha256.Sum256([]byte(key))
	match := 0
	for i := range k.digests {
		match |= subtle.ConstantTimeCompare(given[:], k.digests[i][:])
	}
	return match == 1
}
