package app

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"comfygo/cli"
)

// healthLimit bounds how long the command health waits for an answer.
const healthLimit = 5 * time.Second

// Health asks a server whether it works or, with Ready, accepts jobs, and returns nil if it does. Without --server it asks the
// server of these flags on this machine, whose certificate is not checked.
func (c Command) Health(ctx context.Context, cfg cli.Config, o cli.RemoteOptions) error {
	client := &http.Client{Timeout: healthLimit}
	server := strings.TrimSuffix(o.Server, "/")
	if server == "" {
		server = "http://127.0.0.1:" + strconv.Itoa(cfg.Port)
		if cfg.TLSCertFile != "" && cfg.TLSKeyFile != "" {
			server = "https" + strings.TrimPrefix(server, "http")
			client.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} //nolint:gosec // nothing is sent, and only to this machine
		}
	}
	path := "/health"
	if o.Ready {
		path = "/ready"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, server+path, nil)
	if err != nil {
		return fmt.Errorf("asking %s: %w", server, err)
	}
	if len(cfg.APIKeys) > 0 {
		req.Header.Set("X-API-Key", cfg.APIKeys[0])
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("asking the server: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	const most = 64 << 10
	text, err := io.ReadAll(io.LimitReader(resp.Body, most))
	if err != nil {
		return fmt.Errorf("reading the answer of %s: %w", server, err)
	}
	var said struct{ Status, Error, Reason string }
	_ = json.Unmarshal(text, &said) // a proxy's page says nothing that helps
	switch {
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("%s%s: %s: %s", server, path, resp.Status, said.Error+said.Reason)
	case o.Ready:
		said.Status = "ready"
	case said.Error != "":
		said.Status += ": " + said.Error
	}
	_, err = fmt.Fprintln(c.Stdout, said.Status)
	return err
}
