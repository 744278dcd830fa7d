package tokenizer

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"
)

// The wanted sum is that of vocab.json's 49408 entries, ordered by number, one per line (its file has SHA-256
// e089ad92ba36837a0d31433e555c8f45fe601ab5c221d4f607ded32d9f7a4349).
func TestVocabularyIsTheOriginal(t *testing.T) {
	t.Parallel()
	names, _, err := readMerges()
	if err != nil {
		t.Fatal(err)
	}
	h := sha256.New()
	for _, n := range names {
		h.Write([]byte(n + "\n"))
	}
	const want = "e30e57b6f1e47616982ef898d8922be24e535b4fa3d0110477b3a6f02ebbae7d"
	if got := hex.EncodeToString(h.Sum(nil)); len(names) != CLIPVocab || got != want {
		t.Errorf("%d entries with sum %s, want %d with %s", len(names), got, CLIPVocab, want)
	}
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		if _, _, err := readMerges(); err != nil {
			b.Fatal(err)
		}
	}
}
