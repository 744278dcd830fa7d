package auth

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// The algorithms that tokens may be signed with.
const (
	AlgorithmEdDSA = "EdDSA"
	AlgorithmHS256 = "HS256"
)

const (
	tokenIssuer = "comfygo"
	// signerLife is the time for which a key signs before the next one replaces it.
	signerLife = 24 * time.Hour
)

// claims are the contents of a token. The role is informative: what counts is the store's current state.
type claims struct {
	jwt.RegisteredClaims
	Role string `json:"role"`
	Key  string `json:"key"`

	signer string // ID of what has signed it
}

// signer signs tokens and checks them.
type signer struct {
	id, algorithm string
	created       int64
	retired       bool // another one signs; it only checks
	sign, verify  any
	method        jwt.SigningMethod
}

func checkAlgorithm(name string) error {
	if name != AlgorithmEdDSA && name != AlgorithmHS256 {
		return fmt.Errorf("tokens can be signed with %s or %s, not with %q", AlgorithmEdDSA, AlgorithmHS256, name)
	}
	return nil
}

// newSigner makes a signer of the 32 bytes that the store has.
func newSigner(id, algorithm string, secret []byte, created int64) (*signer, error) {
	if len(secret) != ed25519.SeedSize {
		return nil, fmt.Errorf("the signing key %s has %d bytes, want %d", id, len(secret), ed25519.SeedSize)
	}
	if err := checkAlgorithm(algorithm); err != nil {
		return nil, err
	}
	s := &signer{id: id, algorithm: algorithm, created: created, sign: secret, verify: secret, method: jwt.SigningMethodHS256}
	if algorithm == AlgorithmEdDSA {
		private := ed25519.NewKeyFromSeed(secret)
		s.sign, s.verify, s.method = private, private.Public(), jwt.SigningMethodEdDSA
	}
	return s, nil
}

// signing returns the newest signer of the configured algorithm, if it may still sign: one dated in the future may not,
// since its tokens would be older than the signer itself.
func (s *Store) signing(now time.Time) *signer {
	var newest *signer
	for _, g := range s.snap.Load().signers {
		if g.algorithm == s.o.Algorithm && !g.retired && (newest == nil || g.created > newest.created) {
			newest = g
		}
	}
	if newest == nil || now.Unix()-newest.created >= int64(signerLife.Seconds()) || now.Unix() < newest.created { // the clock was set back
		return nil
	}
	return newest
}

// rotate makes a new signer; the old ones stay until the last of their tokens has ended.
func (s *Store) rotate(ctx context.Context, by Actor) error {
	var secret [ed25519.SeedSize]byte
	rand.Read(secret[:]) //nolint:errcheck // it never fails
	id, now := newID("t-"), s.now()
	return s.change(ctx, by, ActionToken, func(tx *sql.Tx, _ int64, e *Event) error {
		e.Target, e.Detail = id, "a new signing key"
		// When the clock was set back, tokens are out that end later than a life from now.
		_, err := tx.ExecContext(ctx, "UPDATE signers SET retired = CASE WHEN created > ? THEN created + ? ELSE ? END WHERE retired IS NULL",
			now.Unix(), int64((signerLife + s.o.TokenLife).Seconds()), now.Add(s.o.TokenLife).Unix())
		if err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "INSERT INTO signers (id, algorithm, secret, created) VALUES (?, ?, ?, ?)", id, s.o.Algorithm, secret[:], now.Unix())
		return err
	})
}

// RotateSigner makes a new signing key ahead of time. Tokens of the old ones stay valid for the rest of their life.
func (s *Store) RotateSigner(ctx context.Context, by Actor) error {
	if err := s.rotate(ctx, by); err != nil {
		return fmt.Errorf("making a signing key: %w", err)
	}
	return nil
}

// EndTokens deletes all signing keys, so that every token ends at once: for when the file was stolen.
func (s *Store) EndTokens(ctx context.Context, by Actor) error {
	err := s.change(ctx, by, ActionToken, func(tx *sql.Tx, _ int64, e *Event) error {
		e.Detail = "all tokens ended"
		_, err := tx.ExecContext(ctx, "DELETE FROM signers")
		return err
	})
	if err != nil {
		return fmt.Errorf("ending all tokens: %w", err)
	}
	return nil
}

// IssueToken implements Gate.
func (s *Store) IssueToken(ctx context.Context, p Principal) (Token, error) {
	if p.KeyID == "" || p.TokenID != "" || p.SessionID != "" {
		return Token{}, ErrNoTokens
	}
	p, err := s.Refresh(p)
	if err != nil {
		return Token{}, err
	}
	now := s.now()
	g := s.signing(now)
	if g == nil {
		if err := s.RotateSigner(ctx, Actor{Principal: p}); err != nil {
			return Token{}, err
		}
		if g = s.signing(now); g == nil {
			return Token{}, errors.New("making a signing key: it is not there")
		}
	}
	now = now.Truncate(time.Second)
	expires := earlier(now.Add(s.o.TokenLife), p.Expires).Truncate(time.Second)
	c := claims{Role: p.Role, Key: p.KeyID, RegisteredClaims: jwt.RegisteredClaims{
		Issuer: tokenIssuer, Subject: p.ID, ID: newID("j-"),
		IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(expires),
	}}
	unsigned := jwt.NewWithClaims(g.method, c)
	unsigned.Header["kid"] = g.id
	text, err := unsigned.SignedString(g.sign)
	if err != nil {
		return Token{}, fmt.Errorf("signing a token: %w", err)
	}
	s.Audit(ctx, EventOf(p, zeroAddr, ActionToken, ResultOK, c.ID, "until "+expires.UTC().Format(time.RFC3339)))
	return Token{Text: text, ID: c.ID, Expires: expires}, nil
}

// byToken checks a token's signature and times, and then its key as it is now.
func (s *Store) byToken(ctx context.Context, c Credential, d digest, now time.Time) (Principal, error) {
	got, err := s.parse(c.Secret, now)
	if errors.Is(err, jwt.ErrTokenUnverifiable) && s.catchUp(ctx) { // another process may just have made the signing key
		got, err = s.parse(c.Secret, now)
	}
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return Principal{}, ErrExpired // its signature was right
	case errors.Is(err, jwt.ErrTokenInvalidClaims) && !errors.Is(err, jwt.ErrTokenSignatureInvalid):
		return Principal{}, ErrBadCredential // the other was valid too: this is not a guess, so the address is not locked
	case err != nil:
		return Principal{}, s.failed(ctx, c.Addr)
	}
	e := goodEntry{key: got.Key, until: got.ExpiresAt.Time, claims: got}
	p, err := s.principal(e, c.Source, now)
	if err != nil {
		return Principal{}, err
	}
	if p.ID != got.Subject {
		return Principal{}, ErrBadCredential
	}
	s.verified.accept(d, e)
	return p, nil
}

// parse checks everything in a token that needs no other data. Only the configured algorithm is accepted, whatever the
// header names, and a signing key only for the algorithm it was made for.
func (s *Store) parse(text string, now time.Time) (*claims, error) {
	signers := s.snap.Load().signers
	got := &claims{}
	_, err := jwt.ParseWithClaims(text, got, func(t *jwt.Token) (any, error) {
		id, _ := t.Header["kid"].(string)
		g := signers[id]
		if g == nil || g.algorithm != s.o.Algorithm {
			return nil, jwt.ErrTokenUnverifiable
		}
		got.signer = id
		return g.verify, nil
	}, jwt.WithValidMethods([]string{s.o.Algorithm}), jwt.WithStrictDecoding(), jwt.WithoutClaimsValidation())
	if err != nil {
		return nil, err
	}
	if got.ID == "" || got.Key == "" || got.Subject == "" || got.IssuedAt == nil {
		return nil, jwt.ErrTokenRequiredClaimMissing
	}
	if got.Issuer != tokenIssuer || got.ExpiresAt == nil {
		return nil, jwt.ErrTokenInvalidClaims
	}
	if !now.Before(got.ExpiresAt.Time) {
		return nil, jwt.ErrTokenExpired
	}
	return got, s.timely(got, signers[got.signer])
}

// timely refuses tokens that this program cannot have made: those that live too long, or were issued outside the time in
// which their signing key signs. A stolen signing key is of use no longer than that. A token from the future is not refused:
// this program made it before the clock was set back, and it expires at its stated time.
func (s *Store) timely(c *claims, g *signer) error {
	issued := c.IssuedAt.Unix()
	if c.ExpiresAt.Sub(c.IssuedAt.Time) > s.o.TokenLife || issued < g.created || issued > g.created+int64(signerLife.Seconds()) {
		return jwt.ErrTokenInvalidClaims
	}
	return nil
}
