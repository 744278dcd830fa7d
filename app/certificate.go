package app

import (
	"crypto/tls"
	"fmt"
	"runtime"
	"sync/atomic"

	"comfygo/cli"
	"comfygo/internal/plainfile"
)

// certificate is the certificate that TLS shows to clients. It can be reloaded while the server runs: open
// connections keep the old one.
type certificate struct {
	keyFile, certFile string
	warn              func(text string) // receives advice; nil discards it
	pair              atomic.Pointer[tls.Certificate]
}

// loadCertificate reads the certificate of the flags, or returns nil if TLS is off, which it is unless both files are
// named.
func loadCertificate(cfg cli.Config, warn func(text string)) (*certificate, error) {
	if cfg.TLSKeyFile == "" || cfg.TLSCertFile == "" {
		return nil, nil
	}
	c := &certificate{keyFile: cfg.TLSKeyFile, certFile: cfg.TLSCertFile, warn: warn}
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
	cert, _, err := plainfile.Read(c.certFile, plainfile.MaxSize)
	if err != nil {
		return fmt.Errorf("reading the TLS certificate: %w", err)
	}
	key, info, err := plainfile.Read(c.keyFile, plainfile.MaxSize)
	if err != nil {
		return fmt.Errorf("reading the TLS key: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("reading the TLS certificate: %w", err)
	}
	const others = 0o007
	if mode := info.Mode().Perm(); runtime.GOOS != "windows" && mode&others != 0 && c.warn != nil {
		c.warn(fmt.Sprintf("the TLS key %s may be read by every user of this machine (mode %04o): chmod o-rwx keeps it to its owner and group", c.keyFile, mode))
	}
	c.pair.Store(&pair)
	return nil
}

// config returns the server's TLS settings, or nil without TLS.
func (c *certificate) config() *tls.Config {
	if c == nil {
		return nil
	}
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.pair.Load(), nil },
	}
}
