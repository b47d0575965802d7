package main

import (
	"net/http"

	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	"github.com/labstack/echo/v5"
)

// The relay's handler checks the method and the token itself. Route every method to it, put no
// authentication in front, and no middleware that reads or rewrites the body.

func netHTTP(webhook http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/guance", webhook)
	return mux
}

func chiRouter(webhook http.Handler) http.Handler {
	r := chi.NewRouter()
	r.Handle("/guance", webhook)
	return r
}

func ginRouter(webhook http.Handler) http.Handler {
	gin.SetMode(gin.ReleaseMode)
	r := gin.New()
	r.Any("/guance", gin.WrapH(webhook))
	return r
}

func echoRouter(webhook http.Handler) http.Handler {
	e := echo.New()
	e.Any("/guance", echo.WrapHandler(webhook))
	return e
}

// routers are the mounting functions, by name.
var routers = map[string]func(webhook http.Handler) http.Handler{
	"net/http": netHTTP, "chi": chiRouter, "gin": ginRouter, "echo": echoRouter,
}
