package sentencepiece_test

import (
	"encoding/json"
	"testing"

	"comfygo/internal/golden"
)

func TestTextsEqualTheLibrary(t *testing.T) {
	t.Parallel()
	var sets map[string][][2]json.RawMessage
	if err := golden.ReadJSON("testdata/decode.json", &sets); err != nil {
		t.Fatal(err)
	}
	if len(sets) != 5 {
		t.Fatalf("%d models", len(sets))
	}
	for name, cases := range sets {
		p := load(t, name)
		for _, c := range cases {
			var ids []int32
			var want string
			if json.Unmarshal(c[0], &ids) != nil || json.Unmarshal(c[1], &want) != nil {
				t.Fatalf("unreadable case %s", c[0])
			}
			if got, err := p.Decode(ids); err != nil || got != want {
				t.Errorf("%s: %v gives %q, %v; want %q", name, ids, got, err, want)
			}
		}
		for _, id := range []int32{-1, int32(p.Size())} {
			if _, err := p.Decode([]int32{id}); err == nil {
				t.Errorf("%s: no error for the id %d", name, id)
			}
		}
	}
}
