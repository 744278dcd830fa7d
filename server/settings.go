package server

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/labstack/echo/v4"

	"comfygo/internal/pyjson"
)

const (
	settingsFile = "comfy.settings.json"
	maxSettings  = 64 << 20
)

// settings reads the settings of the request's user; a file that cannot be read counts as empty.
func (s *Server) settings(c echo.Context) (values *pyjson.Object, path string, err error) {
	path, err = s.users.path(c.Request(), settingsFile, true)
	if errors.Is(err, errUnknownUser) {
		return nil, "", raise(http.StatusUnauthorized)
	}
	if err != nil {
		return nil, "", err
	}
	data, err := s.disk.read(path, maxSettings)
	if err != nil {
		return pyjson.NewObject(), path, nil //nolint:nilerr // there are none yet
	}
	if values, err = pyjson.UnmarshalObject(data); err != nil {
		s.log.Error("reading the settings", "error", err)
		return pyjson.NewObject(), path, nil
	}
	return values, path, nil
}

func (s *Server) saveSettings(path string, values *pyjson.Object) error {
	text, err := pyjson.IndentASCII(values, 4)
	if err != nil {
		return fmt.Errorf("writing the settings: %w", err)
	}
	return s.disk.write(path, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// getSettings returns all settings.
func (s *Server) getSettings(c echo.Context) error {
	values, _, err := s.settings(c)
	if err != nil {
		return err
	}
	return s.json(c, http.StatusOK, values)
}

// getSetting returns one setting, null when it is not set.
func (s *Server) getSetting(c echo.Context) error {
	values, _, err := s.settings(c)
	if err != nil {
		return err
	}
	v, _ := values.Get(param(c, "id"))
	return s.json(c, http.StatusOK, v)
}

// changeSettings reads the settings, lets f change them with the body's value and writes them. Changes come one at a time, so
// that none is lost.
func (s *Server) changeSettings(c echo.Context, f func(values *pyjson.Object, body any) error) error {
	if _, err := s.users.of(c.Request()); errors.Is(err, errUnknownUser) {
		return raise(http.StatusUnauthorized)
	}
	body, err := s.readJSON(c)
	if err != nil {
		return err
	}
	s.settingsLock.Lock()
	defer s.settingsLock.Unlock()
	values, path, err := s.settings(c)
	if err != nil {
		return err
	}
	if err := f(values, body); err != nil {
		return err
	}
	if err := s.saveSettings(path, values); err != nil {
		return err
	}
	return s.empty(c, http.StatusOK)
}

// postSettings adds settings to those that are there.
func (s *Server) postSettings(c echo.Context) error {
	return s.changeSettings(c, func(values *pyjson.Object, body any) error {
		o, ok := body.(*pyjson.Object)
		if !ok {
			return trouble("changing the settings: the body is a %s, not an object", pyjson.TypeName(body))
		}
		values.Merge(o)
		return nil
	})
}

// postSetting sets one setting to the body.
func (s *Server) postSetting(c echo.Context) error {
	return s.changeSettings(c, func(values *pyjson.Object, body any) error {
		values.Set(param(c, "id"), body)
		return nil
	})
}
