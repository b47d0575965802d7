// Package e2e tests the console in a real browser: headless Chromium, driven through its DevTools
// protocol, in front of the server as it is built.
//
//	make e2e
//
// runs the tests. They need Chromium, and npm for axe-core, which checks the accessibility of each
// page. A test without them is skipped; with RELAY_TEST_BROWSER=required it fails.
//
//	cd internal/e2e && GOWORK=off go test -run TestViews -update-images 3m
//
// takes the pictures of docs/images again, after three minutes of a storm.
//
// It is a module of its own, outside the workspace, so that nobody who uses or tests the library
// downloads a driver of browsers.
package e2e
