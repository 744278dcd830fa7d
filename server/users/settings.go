package users

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/labstack/echo/v4"

	"comfygo/internal/pyjson"
	"comfygo/server/access"
	"comfygo/server/reply"
)

const (
	settingsFile = "comfy.settings.json"
	maxSettings  = 64 << 20
)

// settings reads the settings of the request's user; a file that cannot be read counts as empty.
func (s *Service) settings(c echo.Context) (values *pyjson.Object, path string, err error) {
	path, err = s.Users.path(c.Request(), settingsFile, true)
	if errors.Is(err, errUnknownUser) {
		return nil, "", reply.Raise(http.StatusUnauthorized)
	}
	if err != nil {
		return nil, "", err
	}
	data, err := s.Disk.Read(path, maxSettings)
	if err != nil {
		return pyjson.NewObject(), path, nil //nolint:nilerr // there are none yet
	}
	if values, err = pyjson.UnmarshalObject(data); err != nil {
		s.Log.Error("reading the settings", "error", err)
		return pyjson.NewObject(), path, nil
	}
	return values, path, nil
}

// saveSettings writes settings that have room, in the quota and in what can be read back.
func (s *Service) saveSettings(path string, values *pyjson.Object, quota *access.Quota) error {
	text, err := pyjson.IndentASCII(values, 4)
	if err != nil {
		return fmt.Errorf("writing the settings: %w", err)
	}
	if len(text) > maxSettings {
		return reply.Refuse(http.StatusRequestEntityTooLarge, "settings_too_large", "The settings are too large", fmt.Sprintf(
			"all settings of the user would have %.1f MB, which is more than %d MB: nothing was changed", float64(len(text))/(1<<20), maxSettings>>20))
	}
	if err := quota.Room(int64(len(text)), path); err != nil {
		return err
	}
	return s.Disk.Write(path, func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	})
}

// GetSettings returns all settings.
func (s *Service) GetSettings(c echo.Context) error {
	values, _, err := s.settings(c)
	if err != nil {
		return err
	}
	return s.Reply.JSON(c, http.StatusOK, values)
}

// GetSetting returns one setting, or null if it is not set.
func (s *Service) GetSetting(c echo.Context) error {
	values, _, err := s.settings(c)
	if err != nil {
		return err
	}
	v, _ := values.Get(reply.Param(c, "id"))
	return s.Reply.JSON(c, http.StatusOK, v)
}

// changeSettings reads the settings, lets f change them with the body's value and writes them. Changes come one at a time, so
// that none is lost.
func (s *Service) changeSettings(c echo.Context, f func(values *pyjson.Object, body any) error) error {
	if _, err := s.Users.Of(c.Request()); errors.Is(err, errUnknownUser) {
		return reply.Raise(http.StatusUnauthorized)
	}
	body, err := s.Reply.ReadJSON(c)
	if err != nil {
		return err
	}
	root, err := s.Users.dir(c.Request())
	if err != nil {
		return err
	}
	quota, err := s.Access.Hold(c, root)
	if err != nil {
		return err
	}
	defer quota.Release()
	end, err := s.Users.Turns.Take()
	if err != nil {
		return err
	}
	defer end()
	values, path, err := s.settings(c)
	if err != nil {
		return err
	}
	if err := f(values, body); err != nil {
		return err
	}
	if err := s.saveSettings(path, values, quota); err != nil {
		return err
	}
	return s.Reply.Empty(c, http.StatusOK)
}

// PostSettings adds settings to those that are there.
func (s *Service) PostSettings(c echo.Context) error {
	return s.changeSettings(c, func(values *pyjson.Object, body any) error {
		o, ok := body.(*pyjson.Object)
		if !ok {
			return reply.Trouble("changing the settings: the body is a %s, not an object", pyjson.TypeName(body))
		}
		values.Merge(o)
		return nil
	})
}

// PostSetting sets one setting to the body.
func (s *Service) PostSetting(c echo.Context) error {
	return s.changeSettings(c, func(values *pyjson.Object, body any) error {
		values.Set(reply.Param(c, "id"), body)
		return nil
	})
}
