package natslog

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// credentials reads a file of credentials, whichever of the three kinds it has.
func credentials(path string) (nats.Option, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	text := string(bytes.TrimSpace(data))
	switch {
	case strings.Contains(text, "BEGIN NATS USER JWT"):
		return nats.UserCredentials(path), nil
	case strings.HasPrefix(text, "SU"):
		pair, err := nkeys.FromSeed([]byte(text))
		if err != nil {
			return nil, fmt.Errorf("%s: it has no nkey seed of a user: %w", path, err)
		}
		public, err := pair.PublicKey()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		return nats.Nkey(public, pair.Sign), nil
	case text == "":
		return nil, fmt.Errorf("%s: it is empty", path)
	case strings.ContainsAny(text, " \t\r\n"):
		return nil, fmt.Errorf("%s: it has neither an nkey seed, nor a NATS user JWT, nor a single token", path)
	}
	return nats.Token(text), nil
}

// errNoSeed means that a file does not have what this program has written.
var errNoSeed = errors.New("it has no nkey seed of a user")
