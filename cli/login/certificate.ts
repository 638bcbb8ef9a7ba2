/** A client certificate and its key: read once at the login, so that a mistake is told then and not by a build. */
import { createPrivateKey, type KeyObject, X509Certificate } from "node:crypto";
import { statSync } from "node:fs";
import { FlywheelError } from "../../contract/errors.ts";
import { printable } from "../../contract/text.ts";
import { span } from "../../contract/words.ts";
import { readBounded } from "../../daemon/api/client/bounded.ts";
import { reasonOf } from "../../daemon/api/client/errno.ts";
import { closing, exposure } from "./exposure.ts";

/** A chain of certificates is shorter: bytes. */
const largest = 262_144;

/**
 * @param files absolute paths
 * @returns when the certificate ends
 * @throws FlywheelError `credentials-unusable` where a tool could not use them, or somebody else could use the key
 */
export function checkCertificate(files: { readonly certificate: string; readonly key: string }, now: Date): Date {
  const certificate = certificateIn(files.certificate);
  const key = keyIn(files.key);
  if (!certificate.checkPrivateKey(key))
    throw unusable(files.key, `it is not the key of ${files.certificate}`, "name the two that belong together");
  const { validFromDate, validToDate } = certificate;
  const away = (date: Date): string => span(Math.abs(date.getTime() - now.getTime()) / 1000);
  if (validToDate <= now) throw unusable(files.certificate, `the certificate expired ${away(validToDate)} ago`, "renew it");
  if (validFromDate > now)
    throw unusable(files.certificate, `the certificate is valid only in ${away(validFromDate)}`, "check this machine's clock");
  return validToDate;
}

function certificateIn(file: string): X509Certificate {
  const text = textOf(file);
  if (!text.includes("-----BEGIN CERTIFICATE-----"))
    throw unusable(file, "it holds no certificate in PEM", "convert it: openssl x509 -outform PEM");
  try {
    return new X509Certificate(text);
  } catch (error) {
    throw unusable(file, "its certificate cannot be read", "name a certificate in PEM", error);
  }
}

function keyIn(file: string): KeyObject {
  const text = textOf(file);
  const stats = statSync(file);
  const fault = exposure(stats);
  if (fault !== undefined) throw unusable(file, fault, closing(file, stats));
  if (/-----BEGIN ENCRYPTED |^Proc-Type: 4,ENCRYPTED/m.test(text)) {
    throw unusable(file, "the key is encrypted, and no build can type its passphrase", "openssl pkey -in <key> -out <another, 0600>");
  }
  // Bazel's TLS library (Netty's SslContextBuilder) reads PKCS#8 alone.
  if (!text.includes("-----BEGIN PRIVATE KEY-----")) {
    throw unusable(
      file,
      "it holds no private key in PEM of PKCS#8, which Bazel needs",
      "openssl pkcs8 -topk8 -nocrypt -in <key> -out <another, 0600>",
    );
  }
  try {
    return createPrivateKey(text);
  } catch (error) {
    throw unusable(file, "its key cannot be read", "name a private key in PEM", error);
  }
}

function textOf(file: string): string {
  try {
    return readBounded(file, largest).toString("utf8");
  } catch (error) {
    throw unusable(file, reasonOf(error), "name a file that is there and that you may read", error);
  }
}

function unusable(file: string, reason: string, next: string, cause?: unknown): FlywheelError {
  return new FlywheelError("credentials-unusable", `${printable(file, 4096)} cannot be used: ${printable(reason, 4200)}`, { next, cause });
}
