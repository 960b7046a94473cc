// Ownership for objects of C libraries (OpenSSL, libnl): std::unique_ptr<X509, FreeWith<X509_free>>.
#pragma once

namespace nett {

template <auto Function>
struct FreeWith {
    template <typename T>
    void operator()(T* object) const {
        Function(object);
    }
};

}  // namespace nett
