package auth

import (
	"crypto/rand"
	"encoding/hex"
	"strings"
)

// A key is "cgo_", 12 hexadecimal digits that name it, "_", and 64 that are its secret of 32 bytes.
const (
	keyPrefix  = "cgo_"
	keyIDLen   = 12
	secretLen  = 64
	keyTextLen = len(keyPrefix) + keyIDLen + 1 + secretLen
)

// newKeyText makes a key.
func newKeyText() (text, id string) {
	var random [keyIDLen/2 + secretLen/2]byte
	rand.Read(random[:]) //nolint:errcheck // it never fails
	all := hex.EncodeToString(random[:])
	id = all[:keyIDLen]
	return keyPrefix + id + "_" + all[keyIDLen:], id
}

// splitKey splits a key; ok is false if it cannot be valid.
func splitKey(text string) (id string, ok bool) {
	if len(text) != keyTextLen || !strings.HasPrefix(text, keyPrefix) || text[len(keyPrefix)+keyIDLen] != '_' {
		return "", false
	}
	id = text[len(keyPrefix) : len(keyPrefix)+keyIDLen]
	return id, isHex(id) && isHex(text[len(keyPrefix)+keyIDLen+1:])
}

// isHex reports whether a text consists of lower-case hexadecimal digits. It always reads the whole text.
func isHex(s string) bool {
	ok := true
	for i := range len(s) {
		c := s[i]
		ok = ok && (c >= '0' && c <= '9' || c >= 'a' && c <= 'f')
	}
	return ok
}

// mask returns the part of a key that is shown.
func mask(id string) string { return keyPrefix + id + "…" }

// newID makes the ID of a user or a signing key.
func newID(prefix string) string {
	var random [6]byte
	rand.Read(random[:]) //nolint:errcheck // it never fails
	return prefix + hex.EncodeToString(random[:])
}
