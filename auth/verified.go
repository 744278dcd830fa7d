package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"
)

// Bounds of the memory of credentials.
const (
	verifiedLife = 2 * time.Minute
	refusedLife  = 10 * time.Minute
	mostVerified = 65536
	mostRefused  = 4096
)

// digest identifies a credential in memory: SHA-256 over a secret of the process and the credential. It never leaves the
// process, so nothing can be built on finding equal or extended ones, and a dump of the map is of no use
// elsewhere.
type digest [sha256.Size]byte

// verified remembers credentials that were found good, and bad ones so that a client which repeats one costs nothing.
type verified struct {
	secret [sha256.Size]byte

	mu   sync.RWMutex
	good map[digest]goodEntry
	bad  map[digest]time.Time // until when
}

// goodEntry is a key or a token that was checked.
type goodEntry struct {
	key    string // Key.ID
	until  time.Time
	claims *claims // of a token
}

func newVerified() *verified {
	v := &verified{good: map[digest]goodEntry{}, bad: map[digest]time.Time{}}
	rand.Read(v.secret[:]) //nolint:errcheck // it never fails
	return v
}

func (v *verified) digest(credential string) digest {
	var room [sha256.Size + 512]byte // on the stack: keys are short, tokens a little longer
	b := append(room[:0], v.secret[:]...)
	return sha256.Sum256(append(b, credential...))
}

// find returns the cached result for a credential; refused reports that it is known to be bad.
func (v *verified) find(d digest, now time.Time) (e goodEntry, ok, refused bool) {
	v.mu.RLock()
	defer v.mu.RUnlock()
	if e, ok = v.good[d]; ok {
		return e, now.Before(e.until), false
	}
	until, bad := v.bad[d]
	return goodEntry{}, false, bad && now.Before(until)
}

// accept remembers a good credential, for a while or until the token ends.
func (v *verified) accept(d digest, e goodEntry) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.good) >= mostVerified {
		for other := range v.good { // any of them: it costs one check when it is used again
			delete(v.good, other)
			break
		}
	}
	v.good[d] = e
}

// refuse remembers that a secret is wrong for the key with the given ID: a wrong secret never becomes right.
func (v *verified) refuse(d digest, now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.bad) >= mostRefused {
		for other := range v.bad {
			delete(v.bad, other)
			break
		}
	}
	v.bad[d] = now.Add(refusedLife)
}

// forget drops the credentials of keys that have ended.
func (v *verified) forget(keys map[string]bool) {
	if len(keys) == 0 {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for d, e := range v.good {
		if keys[e.key] {
			delete(v.good, d)
		}
	}
}

// sweep drops expired entries.
func (v *verified) sweep(now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for d, e := range v.good {
		if !now.Before(e.until) {
			delete(v.good, d)
		}
	}
	for d, until := range v.bad {
		if !now.Before(until) {
			delete(v.bad, d)
		}
	}
}
