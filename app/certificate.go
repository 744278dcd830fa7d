package app

import (
	"crypto/tls"
	"fmt"
	"sync/atomic"

	"comfygo/cli"
)

// certificate is what TLS shows to clients. It can be read anew while the server runs: connections that are open keep
// the old one.
type certificate struct {
	keyFile, certFile string
	pair              atomic.Pointer[tls.Certificate]
}

// loadCertificate reads the certificate of the flags; nil when TLS is off, which it is unless both files are named.
func loadCertificate(cfg cli.Config) (*certificate, error) {
	if cfg.TLSKeyFile == "" || cfg.TLSCertFile == "" {
		return nil, nil
	}
	c := &certificate{keyFile: cfg.TLSKeyFile, certFile: cfg.TLSCertFile}
	if err := c.Reload(); err != nil {
		return nil, err
	}
	return c, nil
}

// Reload reads the files again. When they don't hold a certificate and its key the old one stays.
func (c *certificate) Reload() error {
	if c == nil {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("reading the TLS certificate: %w", err)
	}
	c.pair.Store(&pair)
	return nil
}

// config is how the server speaks TLS; nil when it does not.
func (c *certificate) config() *tls.Config {
	if c == nil {
		return nil
	}
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.pair.Load(), nil },
	}
}
