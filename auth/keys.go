package auth

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"comfygo/internal/plainfile"
)

// shortKey is the length below which a key could be guessed by trying.
const shortKey = 16

// Keys is a plain set of API keys. The zero value and nil hold no key: no key is required.
type Keys struct {
	fixed [][sha256.Size]byte // digests of those that were given as words
	files []string

	set      atomic.Pointer[keySet]
	salt     [sha256.Size]byte
	reload   sync.Mutex
	warnings []string
}

// keySet is the set of keys that credentials are compared with; it never changes.
type keySet struct {
	digests [][sha256.Size]byte
	ids     []string
}

// NewKeys makes a set of the given keys and of those in the files, one per line; white space around a key, empty lines
// and lines that begin with # are ignored. An empty key, an unreadable file and a file without any key are errors: a
// server that was told to require keys must not start without one. No error contains a key.
func NewKeys(keys, files []string) (*Keys, error) {
	k := &Keys{files: files}
	rand.Read(k.salt[:]) //nolint:errcheck // it never fails
	for _, key := range keys {
		key = strings.TrimSpace(key)
		if key == "" {
			return nil, errors.New("adding an api key: it is empty")
		}
		k.note(key, "an api key of the command line or the environment")
		k.fixed = append(k.fixed, sha256.Sum256([]byte(key)))
	}
	set, err := k.read()
	if err != nil {
		return nil, err
	}
	k.set.Store(set)
	return k, nil
}

// Reload reads the files again. If one of them cannot be read, or has no key, the old set stays. gone are the IDs of the
// keys that are no longer valid.
func (k *Keys) Reload() (gone []string, err error) {
	if k == nil || len(k.files) == 0 {
		return nil, nil
	}
	k.reload.Lock()
	defer k.reload.Unlock()
	k.warnings = nil
	set, err := k.read()
	if err != nil {
		return nil, fmt.Errorf("keeping the old api keys: %w", err)
	}
	old := k.set.Swap(set)
	stays := map[string]bool{}
	for _, id := range set.ids {
		stays[id] = true
	}
	for _, id := range old.ids {
		if !stays[id] {
			gone = append(gone, id)
		}
	}
	return gone, nil
}

// Warnings reports risks of the keys as they were read last: files that others may read, keys that can be guessed.
func (k *Keys) Warnings() []string {
	if k == nil {
		return nil
	}
	k.reload.Lock()
	defer k.reload.Unlock()
	return k.warnings
}

func (k *Keys) read() (*keySet, error) {
	set := &keySet{}
	for _, digest := range k.fixed {
		k.put(set, digest)
	}
	for _, file := range k.files {
		if err := k.readFile(set, file); err != nil {
			return nil, fmt.Errorf("reading api keys from %s: %w", file, err)
		}
	}
	return set, nil
}

func (k *Keys) readFile(set *keySet, file string) error {
	data, info, err := plainfile.Read(file, plainfile.MaxSize)
	var pathErr *fs.PathError
	if errors.As(err, &pathErr) {
		return pathErr.Err // the path is said already
	}
	if err != nil {
		return err
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		k.warnings = append(k.warnings, fmt.Sprintf("the api key file %s may be read by others (mode %04o): chmod 600 keeps it to its owner", file, info.Mode().Perm()))
	}
	found := false
	lines := bufio.NewScanner(bytes.NewReader(data))
	lines.Buffer(nil, len(data)+1)
	for n := 1; lines.Scan(); n++ {
		key := strings.TrimSpace(strings.TrimPrefix(lines.Text(), "\ufeff"))
		if key == "" || strings.HasPrefix(key, "#") {
			continue
		}
		k.note(key, fmt.Sprintf("line %d of %s", n, file))
		k.put(set, sha256.Sum256([]byte(key)))
		found = true
	}
	if err := lines.Err(); err != nil {
		return err
	}
	if !found {
		return errors.New("there is no key in it")
	}
	return nil
}

func (k *Keys) note(key, where string) {
	if len(key) < shortKey {
		k.warnings = append(k.warnings, fmt.Sprintf("%s has fewer than %d characters and could be guessed", where, shortKey))
	}
}

// put adds a digest. Its ID names the key in logs and sessions of this process; it is made with a secret of the process,
// so that nothing about the key can be tried out on it.
func (k *Keys) put(set *keySet, digest [sha256.Size]byte) {
	id := sha256.Sum256(append(k.salt[:], digest[:]...))
	set.digests = append(set.digests, digest)
	set.ids = append(set.ids, hex.EncodeToString(id[:6]))
}

// Required reports whether a key has to be shown at all.
func (k *Keys) Required() bool {
	set := k.current()
	return set != nil && len(set.digests) > 0
}

// Allow reports whether key is one of the set. It takes the same time whichever key matches, if any does.
func (k *Keys) Allow(key string) bool {
	_, ok := k.find(key)
	return ok
}

// find is Allow, with the ID of the key. Digests are compared, all of them and in constant time, so the time depends on
// the length of what is shown and on nothing else.
func (k *Keys) find(key string) (id string, ok bool) {
	set := k.current()
	if set == nil {
		return "", false
	}
	given := sha256.Sum256([]byte(key))
	at := -1
	for i := range set.digests {
		at = subtle.ConstantTimeSelect(subtle.ConstantTimeCompare(given[:], set.digests[i][:]), i, at)
	}
	if at < 0 {
		return "", false
	}
	return set.ids[at], true
}

// has reports whether the key of an ID is still valid.
func (k *Keys) has(id string) bool {
	set := k.current()
	if set == nil {
		return false
	}
	for _, have := range set.ids {
		if have == id {
			return true
		}
	}
	return false
}

func (k *Keys) current() *keySet {
	if k == nil {
		return nil
	}
	return k.set.Load()
}
