package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"time"

	oidclib "github.com/coreos/go-oidc/v3/oidc"

	"comfygo/auth"
	"comfygo/auth/oidc"
	"comfygo/cli"
	"comfygo/folders"
	"comfygo/internal/plainfile"
	authroutes "comfygo/server/auth"
)

// access is the authentication that the command line configures.
type access struct {
	gate    auth.Gate
	oidc    authroutes.OIDC // nil without a provider
	proxies []netip.Prefix
	reload  func() error // what SIGHUP asks for; nil: nothing
}

// openAccess makes the gate: the key store with --auth, a plain list of keys with --api-key, or none.
func openAccess(cfg cli.Config, dirs *folders.Folders, log *Log) (*access, error) {
	proxies, err := networks(cfg.AuthProxyFrom)
	if err != nil {
		return nil, err
	}
	a := &access{proxies: proxies}
	if cfg.Auth {
		return a, a.openStore(cfg, dirs, log)
	}
	keys, err := apiKeys(cfg)
	if err != nil {
		return nil, err
	}
	if !keys.Required() {
		a.gate = auth.Open{Logger: log.Logger}
		return a, nil
	}
	for _, w := range keys.Warnings() {
		log.Warn(w)
	}
	ring := auth.NewKeyring(keys, auth.KeyringOptions{Logger: log.Logger})
	a.gate, a.reload = ring, ring.Reload
	return a, nil
}

func (a *access) openStore(cfg cli.Config, dirs *folders.Folders, log *Log) error {
	if os.Getenv(envKey) != "" {
		log.Warn(envKey + " is set and changes nothing with --auth: keys come from the key store")
	}
	provider, err := identityProvider(cfg)
	if err != nil {
		return err
	}
	o := storeOptions(cfg, dirs)
	o.Logger = log.Logger
	if cfg.AuthProxyHeader != "" {
		o.ProxyFrom = a.proxies
	}
	s, err := auth.OpenStore(context.Background(), o)
	if err != nil {
		return err
	}
	a.gate = s
	if provider != nil {
		a.oidc = provider
	}
	if !s.HasAdministrator() {
		log.Warn(firstSteps(s.Path()))
	}
	return nil
}

// firstSteps explains how to make the first administrator. The server never makes one by itself.
func firstSteps(path string) string {
	return fmt.Sprintf("the key store has no administrator's key yet. On this machine, run\n"+
		"  comfygo users create NAME --role Administrator --auth-db %[1]s\n"+
		"  comfygo keys create --user NAME --name first --auth-db %[1]s\n"+
		"and keep the key that is shown: it is shown once", quoted(path))
}

func quoted(path string) string {
	if strings.ContainsAny(path, " '\"$\\") {
		return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	}
	return path
}

// storePath returns the path of the key store: beside the user folder and not in it, because that is served.
func storePath(cfg cli.Config, dirs *folders.Folders) string {
	if cfg.AuthDB != "" {
		return cfg.AuthDB
	}
	return filepath.Join(filepath.Dir(filepath.Clean(dirs.User())), "comfygo-auth.db")
}

func storeOptions(cfg cli.Config, dirs *folders.Folders) auth.StoreOptions {
	return auth.StoreOptions{
		Path:         storePath(cfg, dirs),
		ExternalRole: cfg.AuthExternalRole,
		TokenLife:    time.Duration(cfg.AuthTokenLife * float64(time.Minute)),
		Algorithm:    cfg.AuthTokenAlgorithm,
		AuditKeep:    time.Duration(cfg.AuthAuditDays * 24 * float64(time.Hour)),
	}
}

// networks reads --auth-proxy-from; a plain address is a network of one.
func networks(list []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range list {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			addr, addrErr := netip.ParseAddr(text)
			if addrErr != nil {
				return nil, fmt.Errorf("reading --auth-proxy-from: %q is no network like 10.0.0.0/8", text)
			}
			p = netip.PrefixFrom(addr, addr.BitLen())
		}
		if p.Bits() == 0 {
			return nil, fmt.Errorf("reading --auth-proxy-from: %q is everyone", text)
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// envSecret holds the client secret when no file has it.
const envSecret = "COMFYGO_OIDC_SECRET"

// identityProvider sets up OpenID Connect if the command line enables it.
func identityProvider(cfg cli.Config) (*oidc.Provider, error) {
	if cfg.OIDCIssuer == "" {
		return nil, nil
	}
	secret := os.Getenv(envSecret)
	if cfg.OIDCSecretFile != "" {
		data, _, err := plainfile.Read(cfg.OIDCSecretFile, plainfile.MaxSize)
		if err != nil {
			return nil, fmt.Errorf("reading the secret for the identity provider: %w", err)
		}
		if secret = strings.TrimSpace(string(data)); secret == "" {
			return nil, fmt.Errorf("reading the secret for the identity provider: %s is empty", cfg.OIDCSecretFile)
		}
	}
	roles := make([]oidc.RoleFor, 0, len(cfg.OIDCRoles))
	for _, text := range cfg.OIDCRoles {
		claim, role, ok := strings.Cut(text, "=")
		if !ok || claim == "" || role == "" {
			return nil, fmt.Errorf("reading --oidc-role: %q is not CLAIM=ROLE", text)
		}
		roles = append(roles, oidc.RoleFor{Claim: claim, Role: role})
	}
	client := &http.Client{Timeout: 10 * time.Second}
	return oidc.New(oidc.Config{
		Issuer: cfg.OIDCIssuer, ClientID: cfg.OIDCClientID, ClientSecret: secret, RedirectURL: cfg.OIDCRedirectURL,
		RoleClaim: cfg.OIDCRoleClaim, Roles: roles,
		Context: func(ctx context.Context) context.Context { return oidclib.ClientContext(ctx, client) },
	})
}

// envKey may hold an API key.
const envKey = "COMFYGO_API_KEY"

// apiKeys gathers the keys of the flags and of the environment.
func apiKeys(cfg cli.Config) (*auth.Keys, error) {
	keys := cfg.APIKeys
	if k := os.Getenv(envKey); strings.TrimSpace(k) != "" {
		keys = append(keys, k)
	}
	var files []string
	if cfg.APIKeyFile != "" {
		files = []string{cfg.APIKeyFile}
	}
	return auth.NewKeys(keys, files)
}

// checksHosts reports whether requests for foreign host names are refused: always on loopback without authentication, where a
// page of another site could reach the server by a name that leads here, and elsewhere when names are listed.
func checksHosts(cfg cli.Config, mode auth.Mode) bool {
	return len(cfg.AllowedHosts) > 0 || mode == auth.ModeOff && onlyLoopback(cfg.Listen)
}

// wideOpen returns the warning for a server that is reachable from other machines without authentication, or "".
func wideOpen(cfg cli.Config, mode auth.Mode) string {
	if mode != auth.ModeOff || onlyLoopback(cfg.Listen) {
		return ""
	}
	return "listening on " + cfg.Listen + " with no authentication: EVERYONE WHO REACHES THIS ADDRESS MAY USE THE SERVER, read its images, upload files and end jobs. " +
		"Give --api-key-file or --auth, or listen on 127.0.0.1 (docs/auth.md)"
}

// userName is the user that runs a command, for the audit log.
func userName() string {
	if v := os.Getenv("SUDO_USER"); v != "" {
		return v
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "not known"
}

// openShellStore opens the key store for a command. Only those that make something make the file too.
func openShellStore(ctx context.Context, cfg cli.Config, dirs *folders.Folders, makes bool) (*auth.Store, error) {
	o := storeOptions(cfg, dirs)
	if _, err := os.Stat(o.Path); !makes && errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("there is no key store at %s; comfygo users create NAME --role Administrator makes it", o.Path)
	}
	return auth.OpenStore(ctx, o)
}
