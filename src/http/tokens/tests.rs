//! Forged, foreign and worn-out tokens.

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use super::*;
use crate::domain::{id::EventId, queue::Place};

const SECRET: &str = "mSg0Vz3n1JH8cQnPyq5p6rKzQ7eXwVb0tLhUuYd2aEk=";
const FAN: FanId = FanId::from_u128(7);

fn secret() -> RootSecret {
    RootSecret::parse(SECRET).expect("good")
}

fn tokens() -> Tokens {
    Tokens::new(&secret(), "onsale")
}

fn about(kind: Kind) -> Value {
    let event = EventId::from_u128(9);
    match kind {
        Kind::Access => json!({"sv": 1}),
        Kind::Socket => json!({"org": null, "end": 0}),
        Kind::Admission | Kind::QueueTicket | Kind::Resume => json!({"evt": event, "plc": Place::new(1, 2)}),
    }
}

fn verify(tokens: &Tokens, kind: Kind, token: &str) -> Result<(), Refused> {
    match kind {
        Kind::Access => tokens.verify_access(token).map(drop),
        Kind::Admission => tokens.verify_admission(token).map(drop),
        Kind::Socket => tokens.verify_socket(token).map(drop),
        Kind::QueueTicket => tokens.verify_queue_ticket(token).map(drop),
        Kind::Resume => tokens.verify_resume(token).map(drop),
    }
}

fn claims(kind: Kind) -> Value {
    let now = unix_now();
    let mut claims = json!({
        "iss": "onsale", "aud": kind.audience(), "sub": FAN, "jti": "j", "iat": now, "nbf": now, "exp": now + 60,
    });
    let more = about(kind);
    let more = more.as_object().expect("object").clone();
    claims.as_object_mut().expect("object").extend(more);
    claims
}

/// Any header and claims, signed with our own key: what a thief of nothing but the format cannot make.
fn signed(kind: Kind, header: &Value, payload: &str) -> String {
    let keys = secret().keys(&format!("token {}", kind.typ()));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &keys[0][..]);
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(payload));
    let tag = aws_lc_rs::hmac::sign(&key, message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
}

/// Our own header, byte for byte, before other claims.
fn with_claims(kind: Kind, payload: &str) -> String {
    let good = tokens().sign(kind, FAN, 60, about(kind));
    let header = good.split('.').next().expect("header");
    let keys = secret().keys(&format!("token {}", kind.typ()));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &keys[0][..]);
    let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload));
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(aws_lc_rs::hmac::sign(&key, message.as_bytes())))
}

fn kid(kind: Kind) -> String {
    tokens().ring(kind).keys[0].header.kid.clone().expect("a key id")
}

#[test]
fn s_01_each_kind_is_taken_for_itself_only() {
    let tokens = tokens();
    for made in Kind::ALL {
        let token = tokens.sign(made, FAN, 60, about(made));
        for taken in Kind::ALL {
            let expected = if made == taken { Ok(()) } else { Err(Refused::Invalid) };
            assert_eq!(verify(&tokens, taken, &token), expected, "{made:?} as {taken:?}");
        }
    }
}

#[test]
fn s_01_no_two_kinds_share_key_type_or_audience() {
    for (at, one) in Kind::ALL.into_iter().enumerate() {
        for other in Kind::ALL.into_iter().skip(at + 1) {
            assert_ne!(kid(one), kid(other));
            assert_ne!(one.typ(), other.typ());
            assert_ne!(one.audience(), other.audience());
        }
    }
}

#[test]
fn s_02_a_header_of_somebody_elses_making_is_refused_whatever_signed_it() {
    let kind = Kind::Access;
    let payload = claims(kind).to_string();
    let kid = kid(kind);
    let headers = [
        json!({"typ": "at+jwt", "alg": "none"}),
        json!({"typ": "at+jwt", "alg": "none", "kid": kid}),
        json!({"typ": "at+jwt", "alg": "HS512", "kid": kid}),
        json!({"typ": "at+jwt", "alg": "RS256", "kid": kid}),
        json!({"typ": "at+jwt", "alg": "hs256", "kid": kid}),
        json!({"typ": "JWT", "alg": "HS256", "kid": kid}),
        json!({"alg": "HS256", "kid": kid}),
        json!({"typ": "at+jwt", "alg": "HS256"}),
        json!({"typ": "at+jwt", "alg": "HS256", "kid": ""}),
        json!({"typ": "at+jwt", "alg": "HS256", "kid": "../../etc/passwd"}),
        json!({"typ": "at+jwt", "alg": "HS256", "kid": "x' OR '1'='1"}),
        json!({"typ": "at+jwt", "alg": "HS256", "kid": "/dev/null"}),
        json!({"typ": "at+jwt", "alg": "HS256", "kid": kid, "jku": "https://evil.example/keys"}),
        json!({"typ": "at+jwt", "alg": "HS256", "kid": kid, "x5u": "https://evil.example/cert"}),
        json!({"typ": "at+jwt", "alg": "HS256", "kid": kid, "jwk": {"kty": "oct", "k": "AAAA"}}),
        json!({"typ": "at+jwt", "alg": "HS256", "kid": kid, "crit": ["exp"]}),
    ];
    for header in headers {
        let token = signed(kind, &header, &payload);
        assert_eq!(verify(&tokens(), kind, &token), Err(Refused::Invalid), "{header}");
        let unsigned = format!("{}.", token.rsplit_once('.').expect("three parts").0);
        assert_eq!(verify(&tokens(), kind, &unsigned), Err(Refused::Invalid), "{header} unsigned");
    }
}

#[test]
fn s_02_a_signature_by_another_key_is_refused() {
    let kind = Kind::Access;
    let header = Header { typ: Some(kind.typ().into()), kid: Some(kid(kind)), ..Header::new(Algorithm::HS256) };
    let public_key = crate::stores::secret::TicketKey::all(&secret())[0].public();
    for key in [&b""[..], b"secret", &public_key, kid(kind).as_bytes()] {
        let token = jsonwebtoken::encode(&header, &claims(kind), &EncodingKey::from_secret(key)).expect("encodes");
        assert_eq!(verify(&tokens(), kind, &token), Err(Refused::Invalid));
    }
    let good = tokens().sign(kind, FAN, 60, about(kind));
    let (message, _) = good.rsplit_once('.').expect("three parts");
    for token in [format!("{message}."), format!("{message}.AAAA"), message.to_owned(), format!("{good}.x")] {
        assert_eq!(verify(&tokens(), kind, &token), Err(Refused::Invalid), "{token}");
    }
    let other = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let other = Tokens::new(&RootSecret::parse(other).expect("good"), "onsale");
    assert_eq!(verify(&other, kind, &good), Err(Refused::Invalid));
}

#[test]
fn s_02_rubbish_and_oversized_tokens_are_refused_unread() {
    let huge = "a".repeat(100 * 1024);
    let good = tokens().sign(Kind::Access, FAN, 60, about(Kind::Access));
    let padded = format!("{good}{huge}");
    for token in ["", ".", "..", "a.b.c", "\u{0}", &huge, &padded] {
        assert_eq!(verify(&tokens(), Kind::Access, token), Err(Refused::Invalid));
    }
}

#[test]
fn s_02_a_claim_given_twice_is_refused() {
    let kind = Kind::Access;
    let good = claims(kind).to_string();
    assert_eq!(verify(&tokens(), kind, &with_claims(kind, &good)), Ok(()));
    for again in ["\"sub\":\"00000000000000000000000000000008\"", "\"exp\":99999999999", "\"aud\":\"x\"", "\"sv\":2"] {
        let payload = format!("{{{again},{}", good.trim_start_matches('{'));
        assert_eq!(verify(&tokens(), kind, &with_claims(kind, &payload)), Err(Refused::Invalid), "{again}");
    }
}

#[test]
fn s_03_every_claim_is_required_and_must_be_ours() {
    for kind in Kind::ALL {
        for claim in ["iss", "aud", "sub", "jti", "iat", "nbf", "exp"] {
            let mut without = claims(kind);
            without.as_object_mut().expect("object").remove(claim);
            let token = with_claims(kind, &without.to_string());
            assert_eq!(verify(&tokens(), kind, &token), Err(Refused::Invalid), "{kind:?} without {claim}");
        }
        let wrong = [
            ("iss", json!("other")),
            ("iss", json!(null)),
            ("aud", json!("onsale:other")),
            ("aud", json!([kind.audience(), "x"])),
            ("sub", json!("")),
            ("sub", json!("../7")),
            ("jti", json!("")),
            ("exp", json!("never")),
            ("exp", json!(-1)),
            ("exp", json!(1e300)),
        ];
        for (claim, value) in wrong {
            let mut claims = claims(kind);
            claims[claim] = value.clone();
            let token = with_claims(kind, &claims.to_string());
            assert!(verify(&tokens(), kind, &token).is_err(), "{kind:?} {claim} = {value}");
        }
    }
}

#[test]
fn s_03_an_admission_ends_to_the_second_and_others_within_five() {
    let tokens = tokens();
    for kind in Kind::ALL {
        let leeway = if kind == Kind::Admission { 0 } else { LEEWAY_S };
        let ended = |ago: u64| {
            let now = unix_now();
            let token = tokens.sign_until(kind, FAN, now - 100, now - ago, about(kind));
            verify(&tokens, kind, &token)
        };
        assert_eq!(ended(leeway), Err(Refused::Expired), "{kind:?}");
        assert_eq!(ended(90), Err(Refused::Expired), "{kind:?}");
        if leeway > 2 {
            assert_eq!(ended(leeway - 2), Ok(()), "{kind:?}");
        }
        let not_yet = |ahead: u64| {
            let now = unix_now();
            let token = tokens.sign_until(kind, FAN, now + ahead, now + ahead + 60, about(kind));
            verify(&tokens, kind, &token)
        };
        assert_eq!(not_yet(leeway + 2), Err(Refused::Invalid), "{kind:?} of the future");
    }
}

#[test]
fn s_03_a_rotated_secret_still_takes_what_the_old_one_signed() {
    let old = tokens();
    let fresh = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
    let rotated = Tokens::new(&RootSecret::parse(&format!("{fresh}\n{SECRET}")).expect("good"), "onsale");
    let after = Tokens::new(&RootSecret::parse(fresh).expect("good"), "onsale");
    let token = old.sign(Kind::Access, FAN, 60, about(Kind::Access));
    assert_eq!(verify(&rotated, Kind::Access, &token), Ok(()));
    assert_eq!(verify(&after, Kind::Access, &token), Err(Refused::Invalid));
    let token = rotated.sign(Kind::Access, FAN, 60, about(Kind::Access));
    assert_eq!(verify(&after, Kind::Access, &token), Ok(()));
    assert_eq!(verify(&old, Kind::Access, &token), Err(Refused::Invalid));
}
