# docker build -t guance-relay .
FROM golang:1.26 AS build
WORKDIR /src
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags=-s -o /guance-relay ./cmd/guance-relay

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /guance-relay /guance-relay
# Not root. With a directory as store, mount a volume that this user may write and set RELAY_DATA.
USER 65532:65532
ENTRYPOINT ["/guance-relay"]
