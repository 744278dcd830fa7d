package sqlite

import "testing"

func TestFileURI(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ path, volume, want string }{
		{"/srv/comfy/user/queue.db", "", "file:///srv/comfy/user/queue.db?q=1"},
		{"/srv/a b/50%/?#.db", "", "file:///srv/a%20b/50%25/%3F%23.db?q=1"},
		{"C:/Users/ada/queue.db", "C:", "file:///C:/Users/ada/queue.db?q=1"},
		{"//server/share/queue.db", `\\server\share`, "file:////server/share/queue.db?q=1"},
		{Memory, "", "file::memory:?q=1"},
	} {
		if got := fileURI(c.path, c.volume, "q=1"); got != c.want {
			t.Errorf("%s: %s, want %s", c.path, got, c.want)
		}
	}
}
