package queue

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// Workers prove who they are. A worker makes an X25519 key each time that it joins, and its id is the public key. The fleet has a key, too, of which
// only servers know the private part: it is in the log, which workers cannot read. From the other's public key and its own private one both sides
// compute the same secret of this worker. It authenticates what the worker appends and its beats (HMAC-SHA256), and encrypts what servers
// send to it (AES-256-GCM). So the credentials of one worker can neither speak for another nor read its jobs, whatever NATS lets them send and hear.

// keyedPrefix begins the ids of workers that have a key; workers of before protocol 3 have UUIDs.
const keyedPrefix = "x"

// keyed reports whether an id is a public key.
func keyed(id string) bool { return strings.HasPrefix(id, keyedPrefix) && len(id) == keyedLength }

const (
	keySize = 32
	macSize = sha256.Size
	// keyedLength is the length of an id that is a public key: the prefix and 32 bytes in base64.
	keyedLength = 1 + 43
	// sealedMark is the length of the head in messages that are encrypted; others have one above 0.
	sealedMark = "\x00\x00\x00\x00"
)

// newKey makes a private key.
func newKey() (*ecdh.PrivateKey, error) {
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	return key, nil
}

// workerID is the id of the worker with a key.
func workerID(key *ecdh.PublicKey) string {
	return keyedPrefix + base64.RawURLEncoding.EncodeToString(key.Bytes())
}

// publicKey is the opposite of workerID.
func publicKey(id string) (*ecdh.PublicKey, error) {
	if !keyed(id) {
		return nil, fmt.Errorf("reading the id of a worker: %q is no key", id)
	}
	b, err := base64.RawURLEncoding.DecodeString(id[1:])
	if err != nil {
		return nil, fmt.Errorf("reading the id of a worker: %w", err)
	}
	key, err := ecdh.X25519().NewPublicKey(b)
	if err != nil {
		return nil, fmt.Errorf("reading the id of a worker: %w", err)
	}
	return key, nil
}

// channel is what the servers and one worker share.
type channel struct {
	id   string
	mac  []byte
	aead cipher.AEAD
}

// newChannel makes the channel of the worker with an id. One of the keys is the worker's, the other one the fleet's.
func newChannel(id string, fleet *ecdh.PublicKey, own *ecdh.PrivateKey, other *ecdh.PublicKey) (*channel, error) {
	shared, err := own.ECDH(other)
	if err != nil {
		return nil, fmt.Errorf("agreeing on a key with a worker: %w", err)
	}
	keys, err := hkdf.Key(sha256.New, shared, fleet.Bytes(), "comfygo worker "+id, 2*keySize)
	if err != nil {
		return nil, fmt.Errorf("agreeing on a key with a worker: %w", err)
	}
	block, err := aes.NewCipher(keys[keySize:])
	if err != nil {
		return nil, fmt.Errorf("agreeing on a key with a worker: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("agreeing on a key with a worker: %w", err)
	}
	return &channel{id: id, mac: keys[:keySize], aead: aead}, nil
}

// channelTo is the channel from the fleet's side.
func channelTo(id string, secret *ecdh.PrivateKey) (*channel, error) {
	worker, err := publicKey(id)
	if err != nil {
		return nil, err
	}
	return newChannel(id, secret.PublicKey(), secret, worker)
}

// sign writes an entry of the worker with its MAC behind it. Without a channel it only writes it.
func (c *channel) sign(e entry) ([]byte, error) {
	e.Signed = c != nil
	data, err := e.encode()
	if err != nil || c == nil {
		return data, err
	}
	return append(data, c.sum(data)...), nil
}

func (c *channel) sum(data []byte) []byte {
	h := hmac.New(sha256.New, c.mac)
	_, _ = h.Write(data) // writing to a hash never fails
	return h.Sum(nil)
}

// verify reports whether the worker has written an entry.
func (c *channel) verify(e *entry) bool {
	return e.Signed && e.Worker == c.id && hmac.Equal(e.mac, c.sum(e.signed))
}

// seal encrypts a message to the worker.
func (c *channel) seal(data []byte) []byte {
	b := make([]byte, len(sealedMark)+c.aead.NonceSize(), len(sealedMark)+c.aead.NonceSize()+len(data)+c.aead.Overhead())
	copy(b, sealedMark)
	nonce := b[len(sealedMark):]
	_, _ = rand.Read(nonce) // it never fails
	return c.aead.Seal(b, nonce, data, []byte(c.id))
}

var errNotSealed = errors.New("reading a message of a server: it is not encrypted with the key of this worker")

// open is the opposite of seal.
func (c *channel) open(data []byte) ([]byte, error) {
	head := len(sealedMark) + c.aead.NonceSize()
	if len(data) < head || string(data[:len(sealedMark)]) != sealedMark {
		return nil, errNotSealed
	}
	plain, err := c.aead.Open(nil, data[len(sealedMark):head], data[head:], []byte(c.id))
	if err != nil {
		return nil, errNotSealed
	}
	return plain, nil
}
