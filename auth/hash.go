package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"
)

// HashParameters are Argon2id's.
type HashParameters struct {
	Passes  uint32
	Memory  uint32 // KiB
	Threads uint8
}

// DefaultHash takes about 20 ms and 19 MiB, as recommended by OWASP's Password Storage Cheat Sheet, although the secrets
// here are random and could not be guessed behind a plain digest either.
var DefaultHash = HashParameters{Passes: 2, Memory: 19 << 10, Threads: 1}

// Bounds of the data that is read from the file, so that a damaged one cannot use up all memory.
const (
	mostPasses  = 64
	mostMemory  = 1 << 20 // KiB
	saltLen     = 16
	hashLen     = 32
	mostWaiting = 64 // for the hasher
)

// sane reports whether the parameters can be worked with.
func (p HashParameters) sane() bool {
	return p.Passes >= 1 && p.Passes <= mostPasses && p.Memory >= 8*uint32(p.Threads) && p.Memory <= mostMemory && p.Threads >= 1
}

// weaker reports whether a hash should be made again with the parameters of now.
func (p HashParameters) weaker(now HashParameters) bool {
	return p.Passes < now.Passes || p.Memory < now.Memory
}

// hashed is a secret as it is stored.
type hashed struct {
	params     HashParameters
	salt, hash []byte
}

// hasher computes Argon2id, few at a time: each takes its memory.
type hasher struct {
	params  HashParameters
	slots   chan struct{}
	waiting atomic.Int64
	made    atomic.Int64 // hashes computed; tests count them
}

func newHasher(p HashParameters, atOnce int) *hasher {
	return &hasher{params: p, slots: make(chan struct{}, atOnce)}
}

// take waits for a turn. When too many wait, it fails at once.
func (h *hasher) take(ctx context.Context) (release func(), err error) {
	if h.waiting.Add(1) > mostWaiting {
		h.waiting.Add(-1)
		return nil, &WaitError{After: time.Second, Why: "too many keys are being checked"}
	}
	defer h.waiting.Add(-1)
	select {
	case h.slots <- struct{}{}:
		return func() { <-h.slots }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// hash returns the stored form of a secret. The caller has a turn.
func (h *hasher) hash(secret string) hashed {
	salt := make([]byte, saltLen)
	rand.Read(salt) //nolint:errcheck // it never fails
	return hashed{params: h.params, salt: salt, hash: h.compute(secret, salt, h.params)}
}

// matches compares a secret with its stored form, in constant time. The caller has a turn.
func (h *hasher) matches(secret string, stored hashed) bool {
	if !stored.params.sane() || len(stored.hash) != hashLen {
		return false
	}
	return subtle.ConstantTimeCompare(h.compute(secret, stored.salt, stored.params), stored.hash) == 1
}

func (h *hasher) compute(secret string, salt []byte, p HashParameters) []byte {
	h.made.Add(1)
	return argon2.IDKey([]byte(secret), salt, p.Passes, p.Memory, p.Threads, hashLen)
}
