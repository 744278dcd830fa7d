package hub_test

import (
	"strings"
	"testing"

	"comfygo/server/hub"
)

// TestMissedEventsBelongToTheirOwner has a client come back under an id that another owner's client has used.
func TestMissedEventsBelongToTheirOwner(t *testing.T) {
	t.Parallel()
	h := hub.New(hub.Config{})
	t.Cleanup(h.Close)
	h.Send("secret", "of ann", hub.To("same").Of("ann"))
	h.Send("secret", "of all of ann's", hub.Everyone.Of("ann"))
	h.Send("news", "of bob", hub.To("same").Of("bob"))
	for owner, want := range map[string][]string{"ann": {"of ann", "of all of ann's"}, "bob": {"of bob"}, "": nil} {
		got := hub.Missed(h, owner, "same")
		if len(got) != len(want) {
			t.Errorf("%q is sent %v, want %v", owner, got, want)
			continue
		}
		for i, part := range want {
			if !strings.Contains(got[i], part) {
				t.Errorf("%q is sent %s, want %s", owner, got[i], part)
			}
		}
	}
}
