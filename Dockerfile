# docker build -t guance-relay --build-arg VERSION=$(git describe --always) .
FROM golang:1.26 AS build
WORKDIR /src
COPY . .
ARG VERSION=
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -X main.released=$VERSION" -o /guance-relay \
	./cmd/guance-relay
RUN mkdir /data

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /guance-relay /guance-relay
# A new volume takes over owner and mode of this directory. Nothing else is written: the root file
# system may be read-only.
COPY --from=build --chown=65532:65532 --chmod=0700 /data /data
ENV RELAY_DATA=/data
# Not root.
USER 65532:65532
ENTRYPOINT ["/guance-relay"]
