package auth

import (
	"context"
	"database/sql"
	"fmt"
)

// HashesMade is how many Argon2id a store has computed.
func HashesMade(s *Store) int64 { return s.hasher.made.Load() }

// HashOf is how a key is stored.
func HashOf(s *Store, id string) HashParameters { return s.snap.Load().keys[id].hash.params }

// HoldHasher takes all turns of the hasher.
func HoldHasher(s *Store) (release func()) {
	for range cap(s.hasher.slots) {
		s.hasher.slots <- struct{}{}
	}
	return func() {
		for range cap(s.hasher.slots) {
			<-s.hasher.slots
		}
	}
}

// AddKeys puts keys into the file as fast as it goes, for benchmarks.
func AddKeys(ctx context.Context, s *Store, owner string, n int) error {
	h := s.hasher.hash("x")
	err := s.tx(ctx, func(tx *sql.Tx) error {
		generation, err := bump(ctx, tx)
		if err != nil {
			return err
		}
		for i := range n {
			_, err := tx.ExecContext(ctx, "INSERT INTO keys (id, name, owner, role, created, salt, hash, passes, memory, threads, changed) VALUES (?, ?, ?, '', 0, ?, ?, ?, ?, ?, ?)",
				fmt.Sprintf("%012x", i), "k", owner, h.salt, h.hash, h.params.Passes, h.params.Memory, h.params.Threads, generation)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.reload(ctx)
}

// SignerSecret returns the secret that signs a token.
func SignerSecret(s *Store, id string) any { return s.snap.Load().signers[id].sign }

// LimitFile limits the file to a number of pages, or to its size when it has more already.
func LimitFile(ctx context.Context, s *Store, pages int) error {
	_, err := s.write.ExecContext(ctx, fmt.Sprintf("PRAGMA max_page_count = %d", pages))
	return err
}

// Exec changes the file behind the store's back.
func Exec(ctx context.Context, s *Store, text string) error {
	_, err := s.write.ExecContext(ctx, text)
	return err
}

// Sweep does what a store does once in a while.
func Sweep(ctx context.Context, s *Store) error { return s.prune(ctx) }
